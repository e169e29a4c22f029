"""Deterministic analyzers and the confined child process they run in."""
