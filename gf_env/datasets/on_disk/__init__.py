"""Data sets of images on disk: folders, those of Hugging Face, and those of torchvision."""
