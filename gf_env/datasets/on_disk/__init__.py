"""Data sets of images on disk: folders, and those of torchvision."""
