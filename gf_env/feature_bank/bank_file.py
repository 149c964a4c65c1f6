"""Feature banks on disk: planned, built piece by piece, gone on with after a stop, and opened.

A bank is known by its network, data set and lattice; one of others is refused.
"""

from __future__ import annotations

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from gf_env.datasets.base import Dataset, dataset_digest
from gf_env.feature_bank.bank import FeatureBank, feature_shape
from gf_env.geometry import Lattice
from gf_env.network.encoders.base import Encoding
from gf_env.network.glance_focus_net import GlanceFocusNet
from gf_env.storage.cache import cache_dir
from gf_env.storage.chunked_file import ChunkedFile, check_same
from gf_env.storage.tensors import TensorFileError

_logger = logging.getLogger("gf_env")

_PATCHES_AT_ONCE = 2048
_TRIAL_PATCHES = 512


@dataclass(frozen=True)
class BankPlan:
    """What building a bank will take.

    Attributes:
        path: of the file.
        num_bytes: of the whole file.
        seconds: expected for the images that are not done yet, from a trial on a few.
        images_done: kept from a build that was stopped.
        num_images: in all.
    """

    path: Path
    num_bytes: int
    seconds: float
    images_done: int
    num_images: int

    def __str__(self) -> str:
        """Say it in a line."""
        done = f", {self.images_done} done before" if self.images_done else ""
        return (
            f"feature bank of {self.num_images} images{done}: {self.num_bytes / 1e9:.2f} GB in "
            f"{self.path}, about {max(1, math.ceil(self.seconds))} s"
        )


class BankFile:
    """The bank of a network, a data set and a lattice on disk, built or not.

    Args:
        network: in eval mode.
        dataset: one split.
        lattice: where patches are.
        path: of the file, `.npy`; by default in the cache folder, by a name of its own.

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
        self._file = ChunkedFile(place, about, (len(dataset), 1 + len(lattice), per_look))

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def plan(self) -> BankPlan:
        """Try a few images and return what building, or going on with it, will take.

        Raises:
            TensorFileError: the file is of something else.
            OSError: there is no room for it.
        """
        written = self._file.checksums()
        done = self._file.chunks[len(written) - 1].stop if written else 0
        self._check_room(done)
        count = len(self._dataset)
        trial = range(min(count, max(1, _TRIAL_PATCHES // len(self._lattice))))
        self._encode(trial[:1])  # the first call of all takes longer
        began = time.perf_counter()
        self._encode(trial)
        seconds = (time.perf_counter() - began) / len(trial) * (count - done)
        return BankPlan(self._file.path, self._file.num_bytes, seconds, done, count)

    def is_built(self) -> bool:
        """Whether all of it has been written; `open` says whether it is sound.

        Raises:
            TensorFileError: the file is of something else.
        """
        return len(self._file.checksums()) == len(self._file.chunks)

    def build(self, progress: Callable[[int, int], None] | None = None) -> FeatureBank:
        """Write what is not written yet, and open it. Other processes wait meanwhile.

        Args:
            progress: called with (images done, images in all).

        Raises:
            TensorFileError: the file is of something else.
            OSError: there is no room for it.
            ValueError: a feature is too large for float16.
        """
        self._file.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self._file.path}.lock"):
            checksums = self._file.sound_checksums()
            chunks = self._file.chunks
            for number in range(len(checksums), len(chunks)):
                self._check_room(chunks[number].start)
                self._file.write(number, self._encode(chunks[number]), checksums)
                if progress is not None:
                    progress(chunks[number].stop, len(self._dataset))
        return self.open()

    def open(self) -> FeatureBank:
        """Return the bank, checked byte by byte, on the network's device.

        Raises:
            TensorFileError: not built, not whole, altered, or of something else.
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
        return FeatureBank(self._network, self._dataset, self._lattice, looks.to(device))

    def _check_room(self, images_done: int) -> None:
        """Check disk and memory before work that would be in vain."""
        file = self._file
        left = file.num_bytes * (1 - images_done / len(self._dataset))
        folder = next(each for each in file.path.absolute().parents if each.exists())
        free = shutil.disk_usage(folder).free
        if left > free:
            raise OSError(
                errno.ENOSPC,
                f"the feature bank needs {left / 1e9:.2f} GB more, but {folder} has "
                f"{free / 1e9:.2f} GB free; take a coarser lattice, or another folder "
                "(GF_ENV_CACHE)",
            )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if file.num_bytes > memory:
            warnings.warn(
                f"the feature bank of {file.num_bytes / 1e9:.2f} GB is larger than the memory of "
                f"{memory / 1e9:.2f} GB, so look-ups will wait for the disk",
                stacklevel=3,
            )

    @torch.inference_mode()
    def _encode(self, indices: range) -> NDArray[np.float16]:
        """Return the looks at some images, (n, 1 + k, F)."""
        size = max(1, _PATCHES_AT_ONCE // len(self._lattice))
        parts = [self._encode_few(few) for few in _split(indices, size)]
        return np.concatenate(parts)

    def _encode_few(self, indices: NDArray[np.int64]) -> NDArray[np.float16]:
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
    """(n, F): the feature map in (channels, h, w) order, then the pooled vector."""
    return torch.cat([encoding.features.flatten(1), encoding.pooled], dim=1)


def _split(indices: range, size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(indices.start, indices.stop, size):
        yield np.arange(start, min(start + size, indices.stop))


def feature_bank(
    given: str | os.PathLike[str] | FeatureBank | bool,
    network: GlanceFocusNet,
    dataset: Dataset,
    lattice: Lattice | None,
) -> FeatureBank:
    """Return the bank that is meant; `gf_env.envs.make_task.TaskArguments` says how.

    Args:
        given: True, a path, or a bank; False would be none.
        network: in eval mode.
        dataset: one split.
        lattice: which one is needed; None for the bank's own.

    Raises:
        ValueError: no lattice, or a bank of another network, data set or lattice, or on another
            device.
        TensorFileError: not built, damaged, or of something else.
        OSError: no room to build it.
    """
    if isinstance(given, FeatureBank):
        if given.device != network.device:
            raise ValueError(
                f"the feature bank is on {given.device}, but the network on {network.device}; open "
                "its file with the network there"
            )
        wanted = bank_description(network, dataset, lattice or given.lattice)
        found = bank_description(given.network, given.dataset, given.lattice)
        check_same(wanted, found, "the feature bank")
        return given
    if isinstance(given, bool):
        if lattice is None:
            raise ValueError(
                "feature_bank=True needs to know the patches: say lattice_stride, or grid_size for "
                "discrete actions"
            )
        file = BankFile(network, dataset, lattice)
        if file.is_built():
            return file.open()
        _logger.warning("building a %s", file.plan())
        return file.build()
    path = os.fspath(given)
    return BankFile(network, dataset, lattice or stored_lattice(path), path).open()


def bank_description(network: GlanceFocusNet, dataset: Dataset, lattice: Lattice) -> dict[str, Any]:
    """Return what a bank is known by; JSON-serialisable, by name."""
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
        TensorFileError: there is no bank.
    """
    notes = Path(path).with_suffix(".json")
    try:
        return Lattice(**json.loads(notes.read_text())["about"]["lattice"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TensorFileError(
            f"{path} is no feature bank: {notes.name} beside it cannot be read ({error}); "
            "`gf-env bank` makes one"
        ) from error


def _default_path(about: dict[str, Any], dataset: Dataset) -> Path:
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    name = "".join(each if each.isalnum() else "-" for each in Path(dataset.name).name)
    return cache_dir() / "banks" / f"{name}-{dataset.split}-{key}.npy"
