"""Several training processes under a standard launcher, such as torchrun.

Without a launcher there is one process. The main process writes the files; the others wait for it
where they need them.
"""

from __future__ import annotations

import datetime
import gc
import os

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

_TIMEOUT = datetime.timedelta(days=7)
"""Processes wait for each other so long at most; the main one validates alone."""


def start_processes(device: torch.device) -> torch.device:
    """Join the other processes, if a launcher started some; return the device to use.

    Args:
        device: `cuda` becomes the GPU of this process's local rank.
    """
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=_TIMEOUT)
    return device


def stop_processes() -> None:
    """Leave the other processes.

    Nothing that `shared` returned may be in use any more: it would keep the group's threads, which
    may then still be at work when the interpreter ends, and that aborts the process.
    """
    if distributed.is_initialized():
        gc.collect()  # objectives in a reference cycle keep the group, too
        distributed.destroy_process_group()


def rank() -> int:
    """Return this process's number, 0 for the main one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this is the process that validates, writes and prints."""
    return rank() == 0


def wait_for_all() -> None:
    """Return once every process has called this."""
    if distributed.is_initialized():
        distributed.barrier()


def average_gradients(module: nn.Module) -> None:
    """Make the gradients of a module the means over all processes, after `backward`."""
    if world_size() == 1:
        return
    for parameter in module.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= world_size()


def shared(objective: nn.Module) -> nn.Module:
    """Return an objective whose gradients are means over all processes."""
    return objective if world_size() == 1 else DistributedDataParallel(objective)
