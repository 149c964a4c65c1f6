"""Training phases: epochs, checkpoints and logs, and what the supervised phases minimise."""
