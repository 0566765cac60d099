"""Small made-up models and records that tests and benchmarks share."""
