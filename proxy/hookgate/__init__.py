"""Hookgate: a Cerbos policy decision in front of every tool call of Claude Code, and proof of each one."""

__version__ = "0.1.0"
