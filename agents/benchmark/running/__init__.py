"""Doing the runs of a suite."""
