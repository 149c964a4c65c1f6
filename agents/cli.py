"""The `gf-env` command: parses the command line and runs the command that it names."""

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
from agents.commands.tasks import Tasks
from agents.commands.train import Train, starting_settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        _parse(sys.argv[1:] if arguments is None else arguments).run(console)
    except (ArithmeticError, MemoryError, OSError, ValueError) as error:
        # the user can mend these, so a traceback is shown only when asked for
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
    training = starting_settings(arguments)
    commands = (
        Annotated[Train, subcommand(default=Train(training=training))]
        | Evaluate
        | Annotated[Curves, subcommand(default=Curves(training=training))]
        | Demo
        | Bank
        | Benchmark
        | Info
        | Tasks
    )
    return tyro.cli(commands, prog="gf-env", args=arguments)
