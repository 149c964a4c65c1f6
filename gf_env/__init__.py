"""GlanceFocus: where to look next, as a Gymnasium environment around GFNet (arXiv 2010.05300).

Importing this package registers `GlanceFocus-v0` and `GlanceFocusGrid-v0`. Torch is only imported
once one of them is made or a name below is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

if TYPE_CHECKING:
    from gf_env.adaptive import AdaptiveClassifier, Classification
    from gf_env.datasets import ImageSpec, load_dataset
    from gf_env.evaluation import Evaluation, evaluate
    from gf_env.inference import (
        BudgetedResult,
        BudgetPoint,
        budgeted_batch,
        budgeted_curve,
        exit_thresholds,
    )
    from gf_env.network import GlanceFocusNet, Glimpse, load_network
    from gf_env.network_config import NetworkConfig
    from gf_env.official import load_official_checkpoint
    from gf_env.tensor_files import TensorFileError

_HOMES = {
    "AdaptiveClassifier": "gf_env.adaptive",
    "BudgetPoint": "gf_env.inference",
    "Classification": "gf_env.adaptive",
    "Evaluation": "gf_env.evaluation",
    "GlanceFocusNet": "gf_env.network",
    "Glimpse": "gf_env.network",
    "ImageSpec": "gf_env.datasets",
    "NetworkConfig": "gf_env.network_config",
    "TensorFileError": "gf_env.tensor_files",
    "BudgetedResult": "gf_env.inference",
    "budgeted_batch": "gf_env.inference",
    "budgeted_curve": "gf_env.inference",
    "evaluate": "gf_env.evaluation",
    "exit_thresholds": "gf_env.inference",
    "load_dataset": "gf_env.datasets",
    "load_network": "gf_env.network",
    "load_official_checkpoint": "gf_env.official",
}

__all__ = [
    "AdaptiveClassifier",
    "BudgetPoint",
    "BudgetedResult",
    "Classification",
    "Evaluation",
    "GlanceFocusNet",
    "Glimpse",
    "ImageSpec",
    "NetworkConfig",
    "TensorFileError",
    "budgeted_batch",
    "budgeted_curve",
    "evaluate",
    "exit_thresholds",
    "load_dataset",
    "load_network",
    "load_official_checkpoint",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *__all__})


def _register() -> None:
    for env_id, kwargs in (("GlanceFocus-v0", {}), ("GlanceFocusGrid-v0", {"grid_size": 7})):
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point="gf_env.env:GlanceFocusEnv",
                vector_entry_point="gf_env.vector_env:GlanceFocusVectorEnv",
                kwargs=kwargs,
            )


_register()
