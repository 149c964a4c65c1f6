"""The commands of `gf-env`, a module each."""
