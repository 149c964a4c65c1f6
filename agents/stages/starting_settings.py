"""What a training's settings are before the command line changes them."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from agents.stages import presets
from agents.stages.config import DataConfig, TrainConfig, merged, read_settings
from gf_env.datasets.load import has_split
from gf_env.datasets.scenes.registry import SCENES


def starting_settings(arguments: Sequence[str]) -> TrainConfig:
    """Return the settings that the command line's change.

    They are those of `--preset`, with the splits that the data set has where it is another one,
    then those of `--config`.

    Raises:
        ValueError: an unknown preset, a file that is no JSON object, or settings in it that are
            unknown or out of range.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default=presets.BUILTIN)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data.dataset", dest="dataset")
    parser.add_argument("--data.download", dest="download", action="store_true", default=None)
    parser.add_argument("--data.no-download", dest="download", action="store_false", default=None)
    known, _ = parser.parse_known_args(arguments)
    settings = presets.preset(known.preset).config
    found = {} if known.config is None else read_settings(known.config)
    where = "" if known.config is None else f"{known.config}: "
    try:
        in_file = TrainConfig(**merged(dataclasses.asdict(settings), found)).data
        download = in_file.download if known.download is None else known.download
        data = with_own_splits(settings.data, known.dataset or in_file.dataset, download=download)
        settings = dataclasses.replace(settings, data=data)
        return TrainConfig(**merged(dataclasses.asdict(settings), found))
    except ValueError as error:
        raise ValueError(f"{where}{error}") from error


def with_own_splits(data: DataConfig, dataset: str, *, download: bool = False) -> DataConfig:
    """Return the settings for another data set, with splits that it has.

    Networks learn from `pretrain` where there is one, as in the built-in tasks, else from `train`.
    A missing one of `validation` and `test` is replaced by the other. What they are may have to be
    downloaded first.
    """
    if dataset == data.dataset:
        return data
    if dataset in SCENES:
        own = DataConfig(dataset=dataset)
        return dataclasses.replace(own, augment=data.augment, unreadable=data.unreadable)
    there = [name for name in ("validation", "test") if has_split(dataset, name, download=download)]
    validation, test = (there or ["validation", "test"])[:1], (there or ["test"])[-1:]
    return dataclasses.replace(
        data,
        dataset=dataset,
        network_split="pretrain" if has_split(dataset, "pretrain", download=download) else "train",
        policy_split="train",
        validation_split=validation[0],
        test_split=test[0],
    )


def splits_used(data: DataConfig) -> str:
    """Say in one line which split is for what."""
    same = data.validation_split == data.test_split
    return (
        f"Splits of {data.dataset}: the network learns from {data.network_split}, the policy from "
        f"{data.policy_split}; the best epoch is that of {data.validation_split}, and the metrics "
        f"at the end are of {'the same images' if same else data.test_split}."
    )
