"""Benchmarks: Hookgate beside the bare PDP, in one run, on one machine."""
