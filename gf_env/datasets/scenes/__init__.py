"""Built-in tasks: scenes that are made, each a function of its split and index."""
