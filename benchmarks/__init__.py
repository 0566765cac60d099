"""Side-by-side measurements: `python -m benchmarks [NAME ...]`. Ratios measured in one run; nothing is asserted."""
