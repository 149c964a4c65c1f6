"""Learners, one file each, that train a policy on a task."""
