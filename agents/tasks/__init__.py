"""What the built-in tasks ask for, measured and shown."""
