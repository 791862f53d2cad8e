"""Metrics and logs: what the service says of itself, never a tool's input."""
