"""The `gf-env` command.

It stands here because it joins both packages, and `gf_env` never imports `agents`.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import subcommand

from agents.commands.bank import Bank
from agents.commands.benchmark import Benchmark
from agents.commands.curves import Curves
from agents.commands.demo import Demo
from agents.commands.evaluate import Evaluate
from agents.commands.info import Info
from agents.commands.train import Train, preset_and_file


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        _parse(sys.argv[1:] if arguments is None else arguments).run(console)
    except (ArithmeticError, MemoryError, OSError, ValueError) as error:
        # what the user can mend is said without a traceback, unless it is asked for
        if os.environ.get("GF_ENV_TRACEBACK"):
            raise
        Console(stderr=True).print(f"gf-env: {error}", style="red", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("gf-env: stopped", style="red")
        return 130
    return 0


def _parse(arguments: list[str]) -> Any:
    """Return the command that the arguments ask for."""
    training, from_file = preset_and_file(arguments)
    # the file's settings come first, so that those of the command line are the last word
    arguments = arguments[:1] + from_file + arguments[1:]
    commands = (
        Annotated[Train, subcommand("train", default=Train(training=training))]
        | Annotated[Evaluate, subcommand("evaluate", default=Evaluate())]
        | Annotated[Curves, subcommand("curves", default=Curves(training=training))]
        | Annotated[Demo, subcommand("demo", default=Demo())]
        | Annotated[Bank, subcommand("bank", default=Bank())]
        | Annotated[Benchmark, subcommand("benchmark", default=Benchmark())]
        | Annotated[Info, subcommand("info", default=Info())]
    )
    return tyro.cli(commands, prog="gf-env", args=arguments)
