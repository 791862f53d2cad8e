"""The bridge from a command hook to Hookgate. It starts for every hook: only the standard library, and little of it."""
