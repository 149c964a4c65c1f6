"""Reports as tables and plots."""
