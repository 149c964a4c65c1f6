"""From rows of results to a report."""
