"""Accuracy against multiply-adds and time."""
