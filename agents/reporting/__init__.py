"""Metrics as tables and plots, and what made them."""
