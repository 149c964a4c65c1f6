"""Damaged and forged forms of a good file, from a seed."""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from gf_env.storage.tensors import tensors_digest

Write = Callable[[Path], Any]
"""Puts a variant where the good file was."""

_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1 << 20, 1 << 31, 10**30, 1.5, float("nan"), float("inf"), "", "x" * 10**6,
    "../../etc", [], [1] * 1000, [[]], {}, {"a": {}}, "convnext_xxlarge", "[/red]",
)  # fmt: skip


def variants(good: bytes, file: str, rng: np.random.Generator) -> Iterator[tuple[str, Write, bool]]:
    """Yield variants without end: what it is, how it is written, and whether it must be refused.

    Those that need not be refused have to be refused or to give the same as the good file, where
    a checksum inside says what that is.
    """
    kinds = [_flip, _cut, _insert, _swap, _random, _zeros, _special]
    if file.endswith(".safetensors"):
        kinds += [_forged_tensor, _forged_config, _forged_config, _forged_header]
    while True:
        yield kinds[rng.integers(len(kinds))](good, rng)


def _content(what: str, content: bytes, must_fail: bool = False) -> tuple[str, Write, bool]:
    return what, lambda path: path.write_bytes(content), must_fail


def _flip(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    changed, count = bytearray(good), int(rng.integers(1, 4))
    places = rng.integers(len(good), size=count)
    for place in places:
        changed[place] ^= 1 << int(rng.integers(8))
    return _content(f"flips at {places.tolist()}", bytes(changed))


def _cut(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    kept = int(rng.integers(len(good)))
    return _content(f"cut after {kept}", good[:kept])


def _insert(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    place, count = int(rng.integers(len(good) + 1)), int(rng.integers(1, 100))
    return _content(f"{count} more at {place}", good[:place] + rng.bytes(count) + good[place:])


def _swap(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    first, second = sorted(rng.integers(len(good), size=2).tolist())
    return _content(
        f"turned at {first}, {second}", good[second:] + good[first:second] + good[:first]
    )


def _random(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    count = int(rng.integers(5000))
    return _content(f"{count} random bytes", rng.bytes(count), True)


def _zeros(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    place, count = int(rng.integers(len(good))), int(rng.integers(1, 600))
    changed = good[:place] + bytes(len(good[place : place + count])) + good[place + count :]
    return _content(f"{count} zeros at {place}", changed)


def _special(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    made: tuple[tuple[str, Write], ...] = (
        ("a pipe", os.mkfifo),
        ("a folder", os.mkdir),
        ("a link to itself", lambda path: path.symlink_to(path)),
        ("nothing", lambda path: path.write_bytes(b"")),
        ("no file", lambda path: None),
        ("a huge hole", lambda path: (path.touch(), os.truncate(path, 1 << 33))),
        ("deep JSON", lambda path: path.write_bytes(b"[" * 200_000)),
    )
    what, write = made[rng.integers(len(made))]
    return what, write, True


def _metadata(good: bytes) -> dict[str, str]:
    size = int.from_bytes(good[:8], "little")
    metadata: dict[str, str] = json.loads(good[8 : 8 + size])["__metadata__"]
    return metadata


def _signed(metadata: dict[str, str], config: str, tensors: dict[str, torch.Tensor]) -> bytes:
    """Return a file with the checksum of just this content."""
    digest = tensors_digest(config, tensors, metadata.get("origin"))
    return bytes(save(tensors, {**metadata, "config": config, "sha256": digest}))


def _forged_tensor(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    tensors, metadata = load(good), _metadata(good)
    name = sorted(tensors)[rng.integers(len(tensors))]
    value = tensors[name]
    changes: dict[str, torch.Tensor | None] = {
        "half": value.half(),
        "double": value.double(),
        "longer": torch.cat([value.reshape(-1), value.reshape(-1)]),
        "one number": torch.zeros(1, dtype=value.dtype),
        "no values": torch.zeros(0, 1 << 40, dtype=value.dtype),
        "missing": None,
    }
    if value.is_floating_point():
        changes["NaN"] = torch.full_like(value, float("nan"))
        changes["infinite"] = torch.full_like(value, float("-inf"))
    what = sorted(changes)[rng.integers(len(changes))]
    forged = {**tensors, name: changes[what]}
    kept = {key: each for key, each in forged.items() if each is not None}
    # a training's state may be of any tensors, so for it only checksums count
    content = _signed(metadata, metadata["config"], kept)
    if "TrainingState" in metadata["kind"]:
        return _forged(f"{name} is {what}", content)
    return _content(f"{name} is {what}", content, True)


def _forged_config(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    metadata = _metadata(good)
    config = json.loads(metadata["config"])
    table = config
    while True:  # go down to a random entry
        key = sorted(table)[rng.integers(len(table))]
        if not isinstance(table[key], dict) or not table[key] or rng.random() < 0.2:
            break
        table = table[key]
    odd = _ODD[rng.integers(len(_ODD))]
    table[key] = odd
    # some of these are a configuration that can be, with the same weights
    return _forged(f"{key} is {str(odd)[:20]!r}", _signed(metadata, json.dumps(config), load(good)))


def _forged(what: str, content: bytes) -> tuple[str, Write, bool]:
    return f"forged: {what}", lambda path: path.write_bytes(content), False


def _forged_header(good: bytes, rng: np.random.Generator) -> tuple[str, Write, bool]:
    size = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + size])
    name = sorted(set(header) - {"__metadata__"})[0]
    changes: tuple[dict[str, Any], ...] = (
        {"shape": [1 << 40]},
        {"shape": [-1]},
        {"dtype": "F128"},
        {"dtype": "F8_E4M3"},
        {"data_offsets": [0, 1 << 50]},
        {"data_offsets": [100, 0]},
    )
    change = changes[rng.integers(len(changes))]
    header[name] = {**header[name], **change}
    described = json.dumps(header).encode()
    content = struct.pack("<Q", len(described)) + described + good[8 + size :]
    return _content(f"header: {change}", content, True)
