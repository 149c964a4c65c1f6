"""Playing against policies: a person looks where policies look, on a local page."""
