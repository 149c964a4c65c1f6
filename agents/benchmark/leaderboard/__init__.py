"""The table of all tasks, made of rows that are committed, which anyone can add to."""
