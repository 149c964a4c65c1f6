"""Policies: rules, networks, upper bounds."""
