"""In which precision supervised steps run."""

from typing import Any, Literal

import torch

TrainingPrecision = Literal["auto", "float32", "bfloat16"]

_NATIVE = ("amx_bf16", "avx512_bf16")
"""Instructions without which bfloat16 is emulated: ten times slower than float32, not faster."""


def is_mixed(precision: TrainingPrecision, device: torch.device) -> bool:
    """Return whether steps run in mixed precision, with activations in bfloat16.

    Args:
        precision: `auto` for mixed precision where the device computes in bfloat16 by itself.
        device: where the steps run.
    """
    return precision == "bfloat16" or (precision == "auto" and _has_bfloat16(device))


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # earlier versions of torch do not say what a CPU has
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(capabilities.get(each, False) for each in _NATIVE)
