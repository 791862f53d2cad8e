"""Tests that run the real Claude Code client against a scripted stand-in of the Messages API, all on loopback."""
