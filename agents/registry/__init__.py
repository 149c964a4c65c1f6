"""Finds what users name: policies, learners, networks and objects of their own."""
