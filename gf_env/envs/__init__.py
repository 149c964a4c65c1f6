"""The rules of an episode, and the environments around them."""
