"""Data sets as a user may name them, sound ones and others."""

import numpy as np
import torch

from gf_env.datasets import ImageSpec
from tests.helpers.tiny import ArrayDataset

SPEC = ImageSpec(16, 1, ("a", "b", "c"), (0.5,), (0.25,))
LABELS = np.array([0, 1, 2, 0])
NOTHING = 3


class Changed(ArrayDataset):
    """Four images, with some attributes changed."""

    def __init__(self, split, **changes):
        super().__init__(np.zeros((4, 1, 16, 16)), LABELS, SPEC, split=split)
        vars(self).update(changes)

    def __len__(self):
        return 4


class Takes(ArrayDataset):
    def __init__(self, split, like=None):
        if split not in ("train", "test"):
            raise ValueError(f"no split {split!r}")
        super().__init__(np.zeros((4, 1, 16, 16)), LABELS, SPEC, split=split)
        self.like = like


def make(split):
    return Takes(split)


TAKEN = Takes("train")


def needs_more(split, root):
    return Changed(split)


def needs_no_split():
    return Changed("train")


def broken(split):
    raise ZeroDivisionError


def splits_in_a_dictionary(split):
    return {"train": Changed("train")}[split]


class _Lazy:
    def __len__(self):
        return 4

    def __getitem__(self, indices):
        return LABELS[indices]


def empty(split):
    return ArrayDataset(np.zeros((0, 1, 16, 16)), [], SPEC, split=split)


def lazy_labels(split):
    return Changed(split, labels=_Lazy())


def wrong_spec(split):
    return Changed(split, spec={"image_size": 16})


def label_list(split):
    return Changed(split, labels=[0, 1, 2, 0])


def labels_of_other_type(split):
    return Changed(split, labels=LABELS.astype(np.int32))


def too_few_labels(split):
    return Changed(split, labels=LABELS[:3])


def label_too_large(split):
    return Changed(split, labels=np.array([0, 3, 1, 2]))


def negative_label(split):
    return Changed(split, labels=np.array([0, -1, 1, 2]))


def float_images(split):
    return Changed(split, _images=torch.zeros(4, 1, 16, 16))


def colour_images(split):
    return Changed(split, _images=torch.zeros(4, 3, 16, 16, dtype=torch.uint8))


def array_images(split):
    return Changed(split, images=lambda indices: np.zeros((1, 1, 16, 16), np.uint8))
