"""Speed and size as ratios, each measured beside its limit and its peers in one run: `python -m benchmarks`."""
