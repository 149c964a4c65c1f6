"""How the command line shows what there is to choose from, for what is checked elsewhere."""

from collections.abc import Iterable

import tyro

from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS


def one_of(names: Iterable[str], *others: str) -> object:
    """Return an annotation of a text: help shows these names, and words for what else it may be."""
    return tyro.conf.arg(metavar="|".join([f"{{{','.join(names)}}}", *others]))


DATASET = one_of(
    BUILTIN_TASKS, "FOLDER", "torchvision:CLASS[@ROOT]", "hf:NAME[:CONFIG]", "MODULE:NAME"
)
LEVEL = one_of(LEVELS)
SPLIT = one_of(["train", "validation", "test"], "SPLIT")
