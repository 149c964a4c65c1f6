"""Feature banks on disk: planned, built piece by piece, resumed after a stop, and opened.

A bank belongs to one network, data set and lattice; it is refused for any other.
"""

import copyreg
import dataclasses
import errno
import hashlib
import json
import logging
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from gf_env.datasets.base import Dataset, dataset_digest
from gf_env.feature_bank.bank import FeatureBank, feature_shape
from gf_env.geometry import Lattice
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.storage.arrays import ArrayFile, cache_dir, check_same
from gf_env.storage.files import parse_json, read_file
from gf_env.storage.tensors import TensorFileError

_logger = logging.getLogger("gf_env")

_PIECE_BYTES = 1 << 26  # existing banks have checksums of pieces of this size
_PATCHES_AT_ONCE = 2048
_TRIAL_PATCHES = 512
_LOG_SECONDS = 10.0


@dataclass(frozen=True)
class BankPlan:
    """What building a bank will take.

    Attributes:
        path: the `.npy` file.
        num_bytes: size of all features.
        seconds: expected time for the images that are not done yet, from a trial on a few.
        images_done: number of images kept from a build that was stopped.
        num_images: number of images in the data set.
    """

    path: Path
    num_bytes: int
    seconds: float
    images_done: int
    num_images: int

    def __str__(self) -> str:
        """Return a one-line summary."""
        done = f", {self.images_done} done before" if self.images_done else ""
        return (
            f"feature bank of {self.num_images} images{done}: {self.num_bytes / 1e9:.2f} GB in "
            f"{self.path}, about {max(1, math.ceil(self.seconds))} s"
        )


class BankFile:
    """The bank of a network, a data set and a lattice on disk, whether built yet or not.

    All methods raise a TensorFileError where the file is of something else.

    Args:
        network: encodes the patches; in eval mode.
        dataset: the images, one split.
        lattice: the patches of each image.
        path: the `.npy` file; by default one in the cache folder, named after the other arguments.

    Raises:
        ValueError: a network in training mode, or a path that does not end with `.npy`.
    """

    def __init__(
        self,
        network: GlanceFocusNet,
        dataset: Dataset,
        lattice: Lattice,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        if network.training:
            raise ValueError("the network is in training mode; call network.eval() first")
        self._network, self._dataset, self._lattice = network, dataset, lattice
        about = bank_description(network, dataset, lattice)
        place = _default_path(about, dataset) if path is None else Path(path)
        if place.suffix != ".npy":
            raise ValueError(f"a feature bank is a file that ends with .npy, got {place}")
        per_look = math.prod(feature_shape(network)) + network.global_encoder.num_features
        shape = (len(dataset), 1 + len(lattice), per_look)
        self._file = ArrayFile(place, shape, np.float16, about, _PIECE_BYTES)

    @property
    def path(self) -> Path:
        """The `.npy` file."""
        return self._file.path

    def plan(self) -> BankPlan:
        """Encode a few images and return what building, or resuming it, will take.

        Raises:
            OSError: there is no room for it.
        """
        done = self._file.rows_written()
        self._check_room(done)
        count = len(self._dataset)
        trial = range(min(count, max(1, _TRIAL_PATCHES // len(self._lattice))))
        self._encode(trial[:1])  # the very first call takes longer
        began = time.perf_counter()
        self._encode(trial)
        seconds = (time.perf_counter() - began) / len(trial) * (count - done)
        return BankPlan(self._file.path, self._file.num_bytes, seconds, done, count)

    def is_built(self) -> bool:
        """Return whether every piece has been written; only `open` checks their content."""
        return self._file.rows_written() == len(self._dataset)

    def build(self, progress: Callable[[int, int], None] = lambda done, count: None) -> FeatureBank:
        """Write what is missing and open the bank; other processes wait meanwhile.

        Args:
            progress: called with (images done, number of images).

        Raises:
            OSError: there is no room for it.
            ValueError: a feature is too large for float16.
        """
        with self._file.exclusive():
            for rows in self._file.missing_pieces():
                self._check_room(rows.start)
                self._file.write(rows, self._encode(rows))
                progress(rows.stop, len(self._dataset))
        return self.open()

    def open(self) -> FeatureBank:
        """Return the bank, checked byte by byte, on the network's device.

        Raises:
            TensorFileError: not built, incomplete or altered.
            MemoryError: too large for the device's memory.
        """
        looks = torch.from_numpy(self._file.read())
        device = self._network.device
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if looks.nbytes > free:
                raise MemoryError(
                    f"the feature bank has {looks.nbytes / 1e9:.2f} GB, but {device} has "
                    f"{free / 1e9:.2f} GB free; take a coarser lattice or device='cpu'"
                )
        looks = looks.to(device)
        return FeatureBank(self._network, self._dataset, self._lattice, looks, self.path)

    def _check_room(self, images_done: int) -> None:
        """Raise an OSError if the disk is too small for the rest; warn if the memory is."""
        file = self._file
        left = file.num_bytes * (1 - images_done / len(self._dataset))
        folder = next(each for each in file.path.absolute().parents if each.exists())
        free = shutil.disk_usage(folder).free
        if left > free:
            raise OSError(
                errno.ENOSPC,
                f"the feature bank needs {left / 1e9:.2f} GB more, but {folder} has "
                f"{free / 1e9:.2f} GB free; take a coarser lattice, fewer images, or another "
                "folder (GF_ENV_CACHE)",
            )
        memory = psutil.virtual_memory().total
        if file.num_bytes > memory:
            warnings.warn(
                f"the feature bank of {file.num_bytes / 1e9:.2f} GB is larger than the memory of "
                f"{memory / 1e9:.2f} GB, so look-ups will wait for the disk",
                stacklevel=3,
            )

    @torch.inference_mode()
    def _encode(self, indices: range) -> NDArray[np.float16]:
        """Return the looks at some images, (n, 1 + k, F): the glance, then the k patches."""
        count = max(1, _PATCHES_AT_ONCE // len(self._lattice))
        starts = indices[::count]
        batches = (np.arange(start, min(start + count, indices.stop)) for start in starts)
        return np.concatenate([self._encode_batch(batch) for batch in batches])

    def _encode_batch(self, indices: NDArray[np.int64]) -> NDArray[np.float16]:
        network, count = self._network, len(indices)
        images = self._dataset.images(indices).to(network.device)
        glances = _flat(network.encode_glance(images))
        locations = self._lattice.locations(network.device).repeat(count, 1)
        rows = torch.arange(count, device=network.device).repeat_interleave(len(self._lattice))
        patches = _flat(network.encode_patches(images, locations, rows))
        per_image = patches.view(count, -1, patches.shape[1])
        looks = torch.cat([glances[:, None], per_image], dim=1).half()
        if not torch.isfinite(looks).all():
            raise ValueError(
                f"the network's features of images {indices[0]} to {indices[-1]} are too large for "
                "float16 or not finite; use the network without a feature bank"
            )
        kept: NDArray[np.float16] = looks.cpu().numpy()
        return kept


def _flat(encoding: Encoding) -> torch.Tensor:
    """Return (n, F): the feature map in (channels, h, w) order, then the pooled vector."""
    return torch.cat([encoding.features.flatten(1), encoding.pooled], dim=1)


def feature_bank(
    given: str | os.PathLike[str] | FeatureBank | bool,
    network: GlanceFocusNet,
    dataset: Dataset,
    lattice: Lattice | None,
) -> FeatureBank:
    """Return the bank that the argument `feature_bank` of a task asks for.

    Args:
        given: an open bank, the path of one on disk, or True for the one in the cache folder, which
            is built if need be.
        network: encodes the patches; in eval mode.
        dataset: the images, one split.
        lattice: the patches of each image; None for those of the bank.

    Raises:
        ValueError: True without a lattice, or an open bank on another device than the network.
        TensorFileError: a bank that is not built, damaged, or of something else.
        OSError: there is no room to build it.
    """
    if isinstance(given, FeatureBank):
        if given.device != network.device:
            raise ValueError(
                f"the feature bank is on {given.device}, but the network on {network.device}; open "
                "the bank's file with the network on the right device"
            )
        wanted = bank_description(network, dataset, lattice or given.lattice)
        found = bank_description(given.network, given.dataset, given.lattice)
        check_same(wanted, found, "the feature bank")
        return given
    if isinstance(given, bool):
        if lattice is None:
            raise ValueError(
                "feature_bank=True needs to know the patches: pass lattice_stride, or grid_size "
                "for discrete actions"
            )
        file = BankFile(network, dataset, lattice)
        if file.is_built():
            return file.open()
        plan = file.plan()
        _logger.warning("building a %s", plan)
        return file.build(_Log(plan.images_done))
    path = os.fspath(given)
    return BankFile(network, dataset, lattice or stored_lattice(path), path).open()


class _Log:
    """Progress of a build as lines in the log, one every few seconds."""

    def __init__(self, images_done: int) -> None:
        self._before = images_done
        self._began = self._last = time.perf_counter()

    def __call__(self, done: int, count: int) -> None:
        now = time.perf_counter()
        if now - self._last < _LOG_SECONDS and done < count:
            return
        self._last = now
        left = (now - self._began) / max(1, done - self._before) * (count - done)
        _logger.warning("feature bank: %d of %d images, about %.0f s left", done, count, left)


def _reopened(
    network: GlanceFocusNet, dataset: Dataset, lattice: Lattice, path: Path
) -> FeatureBank:
    return BankFile(network, dataset, lattice, path).open()


def _named(bank: FeatureBank) -> tuple[Any, ...]:
    """Return how a bank is pickled: by its path, if it is from a file."""
    if bank.path is None:
        return object.__reduce_ex__(bank, 2)  # type: ignore[return-value]
    return _reopened, (bank.network, bank.dataset, bank.lattice, bank.path.absolute())


copyreg.pickle(FeatureBank, _named)


def bank_description(network: GlanceFocusNet, dataset: Dataset, lattice: Lattice) -> dict[str, Any]:
    """Return what a bank is identified by; JSON-serialisable, by name."""
    return {
        "network": network.digest()[:16],
        "dataset": dataset.name,
        "split": dataset.split,
        "dataset version": dataset_digest(dataset)[:16],
        "lattice": dataclasses.asdict(lattice),
    }


def stored_lattice(path: str | os.PathLike[str]) -> Lattice:
    """Return the lattice of a bank on disk.

    Raises:
        TensorFileError: there is no bank at this path.
    """
    notes = Path(path).with_suffix(".json")
    try:
        return Lattice(**parse_json(read_file(notes))["about"]["lattice"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TensorFileError(
            f"{path} is no feature bank: {notes.name} beside it cannot be read ({error}); "
            "`gf-env bank` makes one"
        ) from error


def _default_path(about: dict[str, Any], dataset: Dataset) -> Path:
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    named = f"{Path(dataset.name).name}-{dataset.split}"  # of any characters, a path's too
    plain = "".join(each if each.isalnum() else "-" for each in named)
    return cache_dir() / "banks" / f"{plain}-{key}.npy"
