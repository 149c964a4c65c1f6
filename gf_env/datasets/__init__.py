"""Data sets, by name, by path, or as objects."""

from gf_env.datasets.base import Augmented, Dataset, ImageSpec
from gf_env.datasets.load import load_dataset

__all__ = ["Augmented", "Dataset", "ImageSpec", "load_dataset"]
