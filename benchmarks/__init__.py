"""How fast it is, measured: `python -m benchmarks.speed` in the repository's root runs it all."""
