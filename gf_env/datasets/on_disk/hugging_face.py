"""Data sets of Hugging Face: folders in its formats, or names on its Hub.

The library `datasets` reads them, the optional extra `hf`. A name is
`hf:<name or folder>[:<config>][,image=<column>][,label=<column>]`. Columns need a name only where
their types leave a choice: images are of type `Image`; labels of type `ClassLabel` or, where there
is none, whole numbers or texts. Data sets are read whole, never streamed, and no code that lies
beside one is run. Where a folder's README names addresses of files, the library fetches them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gf_env.datasets.base import ImageSpec
from gf_env.datasets.on_disk.dataset import ImageFiles, image_files
from gf_env.datasets.on_disk.folders import split_names
from gf_env.datasets.on_disk.sources import TableSource
from gf_env.storage.files import check_regular, check_size

PREFIX = "hf:"

_COLUMN = re.compile(r"^(?P<rest>.+),(?P<kind>image|label)=(?P<column>[^,]+)$")
_CONFIG = re.compile(r"^(?P<place>.+):(?P<config>[^:/\\]+)$")
_SAVED = ("dataset_dict.json", "state.json")
"""One of these is in a folder that `save_to_disk` wrote: of all splits, or of one."""
_NOTES = (*_SAVED, "dataset_info.json")
_LABEL_TYPES = re.compile(r"u?int\d+|bool|(large_)?string")

Tables = Mapping[str, Any]
"""A `datasets.Dataset` for each split."""


class _Named(NamedTuple):
    """What a name says."""

    place: str
    config: str | None
    columns: dict[str, str]


def load_hugging_face(
    name: str, split: str, like: ImageSpec | None, unreadable: str, *, download: bool = False
) -> ImageFiles:
    """Return a split of a data set of Hugging Face.

    Classes are those of the `ClassLabel`; else the different labels of all splits, sorted.

    Args:
        name: as above.
        split: one that it has; `validation` is also found as `val`.
        like: as of `load_dataset`.
        unreadable: likewise.
        download: fetch what is on the Hub; by default only what `datasets` has in its cache, or a
            folder, is found.

    Raises:
        ValueError: `datasets` is not installed, there is no such data set, configuration, split or
            column, several columns could be meant, or images have no label.
    """
    named = _parsed(name)
    tables = _open(named, download)
    table = tables[_own_name(name, split, tables)]
    image = _column(name, named, table, "image")
    label = _column(name, named, table, "label")
    labels, classes = _labels(name, label, table, tables)
    hf = _library()
    undecoded = table.select_columns([image]).cast_column(image, hf.Image(decode=False))
    source = TableSource(f"{name}, split {split!r}", undecoded, image)
    return image_files(name, split, source, labels, classes, like, unreadable)


def has_split(name: str, split: str, *, download: bool = False) -> bool:
    """Whether a data set of Hugging Face has a split; see `load_hugging_face`."""
    try:
        _own_name(name, split, _open(_parsed(name), download))
    except ValueError:
        return False
    return True


def _parsed(name: str) -> _Named:
    place = name.removeprefix(PREFIX)
    columns: dict[str, str] = {}
    while (found := _COLUMN.match(place)) and not Path(place).is_dir():
        place = found["rest"]
        columns.setdefault(found["kind"], found["column"])
    with_config = None if Path(place).is_dir() else _CONFIG.match(place)
    if with_config is None:
        return _Named(place, None, columns)
    return _Named(with_config["place"], with_config["config"], columns)


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(
            f"data sets {PREFIX}... are read by the library `datasets`, which is not installed "
            f"({error}): pip install 'gf-env[hf]'"
        ) from error
    return datasets


def _open(named: _Named, download: bool) -> Tables:
    """Return all splits of a data set."""
    hf = _library()
    place, config, _ = named
    is_folder = Path(place).is_dir()
    is_saved = any((Path(place) / each).is_file() for each in _SAVED)
    if is_saved and config is not None:
        raise ValueError(f"{place} was saved whole and has no configuration {config!r}")
    try:
        if is_folder:
            check_regular(place)
            for each in _NOTES:  # the library reads them whole
                check_size(Path(place) / each)
        if is_saved:
            found = hf.load_from_disk(place)
        elif is_folder or download:
            found = hf.load_dataset(place, config)
        else:
            found = _cached(place, config)
        for table in [found] if isinstance(found, hf.Dataset) else found.values():
            table.data.validate(full=True)  # reading a damaged one could end the process
    except (
        Exception
    ) as error:  # what its readers stumble over in a damaged data set may be anything
        is_remote = not is_folder and not download
        advice = "; download=True fetches it from the Hub if it is there" if is_remote else ""
        kind = "a folder of a data set" if is_folder else "a folder or in the cache of `datasets`"
        raise ValueError(
            f"{PREFIX}{place} cannot be read as {kind}"
            f"{'' if config is None else f', configuration {config!r}'}"
            f" ({type(error).__name__}: {' '.join(str(error).split())}){advice}"
        ) from error
    if isinstance(found, hf.Dataset):
        return {str(found.split or "train"): found}
    tables: Tables = found
    return tables


def _cached(place: str, config: str | None) -> Any:
    """Return a data set of the Hub from the cache of `datasets`, without asking the Hub."""
    from datasets.packaged_modules.cache.cache import Cache

    kind = place.rpartition("/")[2]
    builder = Cache(
        repo_id=place, dataset_name=kind, config_name=config, version="auto", hash="auto"
    )
    return builder.as_dataset()


def _own_name(name: str, split: str, tables: Tables) -> str:
    """Return what a data set calls a split."""
    for candidate in split_names(split):
        if candidate in tables:
            return candidate
    raise ValueError(f"no split {split!r} in {name}; it has {list(tables)}")


def _column(name: str, named: _Named, table: Any, kind: str) -> str:
    """Return which column has the images, or the labels."""
    fitting = _image_columns(table) if kind == "image" else _label_columns(table)
    asked = named.columns.get(kind)
    if asked in fitting:
        return asked
    found = {column: _type(feature) for column, feature in table.features.items()}
    wanted = "images (of type Image)" if kind == "image" else "labels (ClassLabel, numbers, texts)"
    if asked is not None:
        raise ValueError(f"{name} has no column {asked!r} of {wanted}; its columns are {found}")
    if kind == "label":  # a number or a text may be anything, a ClassLabel is what it says
        certain = [each for each in fitting if _is_class_label(table.features[each])]
        fitting = certain or fitting
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise ValueError(f"{name} has no column of {wanted}; its columns are {found}")
    raise ValueError(
        f"{name} has several columns that may be its {kind}s, {fitting}: name one, such as "
        f"{name},{kind}={fitting[0]}; its columns are {found}"
    )


def _image_columns(table: Any) -> list[str]:
    hf = _library()
    return [name for name, each in table.features.items() if isinstance(each, hf.Image)]


def _label_columns(table: Any) -> list[str]:
    features = table.features.items()
    return [
        name
        for name, each in features
        if _is_class_label(each) or _LABEL_TYPES.fullmatch(_type(each))
    ]


def _is_class_label(feature: Any) -> bool:
    return isinstance(feature, _library().ClassLabel)


def _type(feature: Any) -> str:
    """Return the name of a column's type, such as `int64`, `ClassLabel` or `Image`."""
    return feature.dtype if isinstance(feature, _library().Value) else type(feature).__name__


def _labels(
    name: str, column: str, table: Any, tables: Tables
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the label of each image of a table, (n,) int64, and the classes' names."""
    given = table[column][:]
    if not given:
        raise ValueError(f"no images in the split of {name} that was asked for")
    feature = table.features[column]
    if _is_class_label(feature):
        _check_classes(name, column, feature, tables)
        classes, numbers = list(feature.names), {each: each for each in range(len(feature.names))}
    else:
        alike = [each for each in tables.values() if each.features.get(column) == feature]
        classes = sorted({each for other in alike for each in other.unique(column)} - {None})
        numbers = {each: number for number, each in enumerate(classes)}
    missing = [each for each in given if each not in numbers]
    if missing:  # unlabelled images are None, or -1 by the Hub's custom
        raise ValueError(
            f"{len(missing)} of {len(given)} images of {name} have no label in column {column!r} "
            f"but {missing[0]!r}, where one of {len(classes)} classes was expected: choose a split "
            "with labels"
        )
    return np.array([numbers[each] for each in given], np.int64), tuple(map(str, classes))


def _check_classes(name: str, column: str, feature: Any, tables: Tables) -> None:
    """Refuse a split whose classes are not those of `train`: labels would shift silently."""
    train = tables["train"].features.get(column, feature) if "train" in tables else feature
    if getattr(train, "names", None) != feature.names:
        raise ValueError(
            f"column {column!r} of {name} has the classes {feature.names}, but "
            f"{getattr(train, 'names', train)} in train"
        )
