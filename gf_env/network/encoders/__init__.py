"""Backbones, from image to feature map and pooled vector."""
