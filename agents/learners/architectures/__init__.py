"""Networks that learners from episodes can train, a file each."""
