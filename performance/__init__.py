"""How fast it is, measured: `python -m performance.speed` in the repository's root runs it all."""
