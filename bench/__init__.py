"""Benchmarks: one module per subject; `run()` returns the lines of bench.json."""
