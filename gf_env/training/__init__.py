"""Supervised training: starting weights and stage 1."""
