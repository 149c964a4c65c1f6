"""Opens networks and policies by a built-in name or a file.

Files are ours, those of the paper's release, or models that Stable-Baselines3 saved.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agents.policies.base import Policy
from agents.policies.learned_stopping import LearnedStopping
from agents.policies.network_policies import NETWORK_POLICIES
from agents.policies.network_policy import NetworkPolicy
from agents.policies.release import load_official_policy
from agents.policies.stopping import StoppingPolicy, StopWhenSure
from gf_env.network.glance_focus_net import GlanceFocusNet, load_network
from gf_env.network.release import load_official_checkpoint
from gf_env.storage.assets import find_tensor_file
from gf_env.storage.tensors import TensorFileError, tensor_file_kind

OFFICIAL_SUFFIXES = (".pth.tar", ".pth", ".pt")
SB3_SUFFIX = ".zip"

_SAVED: tuple[type[NetworkPolicy[Any] | StoppingPolicy], ...] = (
    *NETWORK_POLICIES.values(),
    StopWhenSure,
    LearnedStopping,
)
_LOADERS: Mapping[str, Callable[..., Policy]] = {each.file_kind: each.load for each in _SAVED}


def is_official(name: str) -> bool:
    """Whether a name is that of a checkpoint of the paper's release, by its ending."""
    return _path_and_digest(name)[0].endswith(OFFICIAL_SUFFIXES)


def _path_and_digest(name: str) -> tuple[str, str | None]:
    """Split a name as `checkpoint.pth.tar#sha256=...`, which says what the file must be."""
    path, _, digest = name.partition("#sha256=")
    return path, digest or None


def open_network(name: str, device: str = "cpu") -> GlanceFocusNet:
    """Return a network by its built-in name or file, ours or the release's.

    To the name of a file of the release its digest may be added, `#sha256=` and hexadecimal digits,
    as such files have no checksum inside.

    Raises:
        ValueError: neither a built-in name nor a file.
        TensorFileError: a damaged file, or one that holds something else.
    """
    if is_official(name):
        path, digest = _path_and_digest(name)
        return load_official_checkpoint(path, sha256=digest, device=device)
    return load_network(name, device)


def check_trusted(name: str, *, trust_sb3: bool) -> None:
    """Check that a policy is no model of Stable-Baselines3, or that such are trusted.

    Raises:
        ValueError: it is one, and they are not.
    """
    if name.endswith(SB3_SUFFIX) and not trust_sb3:
        raise ValueError(
            f"{name} is a model that Stable-Baselines3 saved; loading it may run any code that is "
            "in it. If you trust whoever made it, say so: --trust-sb3, in Python trust_sb3=True"
        )


def policy_file(name: str) -> Path:
    """Return the file of a policy that `load_policy` loads.

    Raises:
        ValueError: neither a file nor a built-in name.
    """
    return find_tensor_file("agents", _path_and_digest(name)[0])


def load_policy(name: str | os.PathLike[str], *, trust_sb3: bool = False) -> Policy:
    """Return a policy by its built-in name or file: ours, the release's, or Stable-Baselines3's.

    Args:
        name: the name or the file; the release's may have a digest, see `open_network`.
        trust_sb3: load models that Stable-Baselines3 saved (.zip). They are pickles, which may run
            any code; all other files hold data only.

    Raises:
        ValueError: neither a built-in name nor a file, no model of Stable-Baselines3, or one that
            is not trusted.
        TensorFileError: a damaged file, or one that holds something else.
    """
    name = os.fspath(name)
    if is_official(name):
        checkpoint, digest = _path_and_digest(name)
        return load_official_policy(checkpoint, sha256=digest)
    check_trusted(name, trust_sb3=trust_sb3)
    if name.endswith(SB3_SUFFIX):
        from agents.sb3.saved_models import load_sb3  # takes seconds to import

        return load_sb3(name)
    path = find_tensor_file("agents", name)
    kind = tensor_file_kind(path)
    if kind not in _LOADERS:
        raise TensorFileError(f"expected {path} to hold a policy, found {kind or 'no kind'!r}")
    return _LOADERS[kind](path)
