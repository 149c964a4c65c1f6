"""`gf-env bank`: the features of all patches of all images, computed once for many trainings."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agents.registry.choices import DATASET, LEVEL, SPLIT, one_of
from agents.registry.files import is_official, open_network
from gf_env.builtin_tasks import BUILTIN_TASKS, DEFAULT_TASK
from gf_env.datasets.base import UNREADABLE
from gf_env.envs.make_task import make_task
from gf_env.feature_bank.bank import FeatureBank
from gf_env.feature_bank.bank_file import BankFile
from gf_env.storage.tensors import TensorFileError


@dataclass(frozen=True)
class Bank:
    """Compute the features of all patches of all images, so that environments look them up.

    Steps then cost a look-up and the classifier. A build that was stopped is resumed.

    Attributes:
        network: a built-in name, a file, or a checkpoint of the paper's release; by default the
            built-in task's own.
        dataset: name or folder; see `gf_env.load_dataset`.
        level: of a built-in task: `easy`, `default` or `hard`.
        split: which part of it.
        num_scenes: how many scenes of a built-in split; the usual number by default.
        grid_size: patches on a grid, for discrete actions; the task's own by default (7 for other
            data sets), none with a lattice stride.
        lattice_stride: patches that start every so many pixels, for continuous actions.
        output: the file, `.npy`; by default one in the cache folder, where it is found by itself.
        unreadable: `stop` at images that cannot be decoded, or `skip` them with a count.
        device: where the network runs.
    """

    network: str | None = None
    dataset: Annotated[str, DATASET] = DEFAULT_TASK
    level: Annotated[str | None, LEVEL] = None
    split: Annotated[str, SPLIT] = "train"
    num_scenes: int | None = None
    grid_size: int | None = None
    lattice_stride: int | None = None
    output: Path | None = None
    unreadable: Annotated[str, one_of(UNREADABLE)] = "stop"
    device: str = "cpu"

    def run(self, console: Console) -> None:
        """Build the bank, or check the one that is there."""
        file = self._file()
        bank = _open_sound(file, console) if file.is_built() else None
        if bank is not None:
            console.print("Already built, and every byte is as it was written.")
        else:
            began = time.perf_counter()
            bank = _build(file, console)
            console.print(f"Built in {time.perf_counter() - began:.1f} s.")
        _print_line(console, f"{bank.num_bytes / 1e6:,.1f} MB in {file.path}")
        _print_line(console, f"Use: {self._use()}")

    def _file(self) -> BankFile:
        on_grid = self.lattice_stride is None
        task = make_task(
            network=None if self.network is None else open_network(self.network, self.device),
            dataset=self.dataset,
            level=self.level,
            split=self.split,
            num_scenes=self.num_scenes,
            unreadable=self.unreadable,
            grid_size=True if on_grid and self.grid_size is None else self.grid_size,
            lattice_stride=self.lattice_stride,
            device=self.device,
        )
        lattice = task.actions.lattice or task.rules.lattice
        assert lattice is not None  # there is a grid or a stride
        return BankFile(task.network, task.dataset, lattice, self.output)

    def _use(self) -> str:
        """Return the call that makes an environment on the bank."""
        names = ["network", "level", "split", "num_scenes", "unreadable"]
        names += ["grid_size", "lattice_stride"]
        named = BUILTIN_TASKS.get(self.dataset)
        stem = (named or BUILTIN_TASKS[DEFAULT_TASK]).id_stem
        arguments = {
            name: json.dumps(getattr(self, name))
            for name in (names if named else ["dataset", *names])
            if getattr(self, name) != getattr(Bank, name)
        }
        if self.network is not None and is_official(self.network):
            arguments["network"] = f"gf_env.load_official_checkpoint({arguments['network']})"
        arguments["feature_bank"] = "True" if self.output is None else json.dumps(str(self.output))
        form = "Grid" if self.lattice_stride is None else ""
        given = "".join(f", {name}={value}" for name, value in arguments.items())
        return f'gym.make("{stem}{form}-v0"{given})'


def _open_sound(file: BankFile, console: Console) -> FeatureBank | None:
    """Open a bank that is built; None, with a message, where its file is damaged."""
    try:
        with console.status("checking the bank"):
            return file.open()
    except TensorFileError as error:
        _print_line(console, f"{error}.")
        return None


def _build(file: BankFile, console: Console) -> FeatureBank:
    plan = file.plan()
    _print_line(console, str(plan))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task("images", total=plan.num_images, completed=plan.images_done)
        return file.build(lambda done, _: progress.update(bar, completed=done))


def _print_line(console: Console, line: str) -> None:
    """Print a line without markup or line breaks, so that paths can be copied."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)
