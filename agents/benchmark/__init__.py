"""Policies by seeds on the same images: what is run, and what may be said of it."""
