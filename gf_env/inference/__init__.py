"""Early exit: thresholds for a budget, and a classifier that really stops."""
