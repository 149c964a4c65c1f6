"""The `gf-env` command: parses the command line and runs the command that it names.

Only that command's module is imported, and none for help: PyTorch alone takes seconds.
"""

import argparse
import importlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

COMMANDS = {
    "train": "Train GFNet: starting weights, stage 1, stage 2 (the policy), stage 3.",
    "evaluate": "Evaluate policies on a frozen network, beside the blind rules and the greedy "
    "oracle.",
    "curves": "Draw accuracy against multiply-adds and against measured time, as the paper does.",
    "demo": "Train policies on the built-in task, the paper's among them, compare and draw them.",
    "bank": "Compute the features of all patches of all images, so that environments look them up.",
    "benchmark": "Run a suite of policies x seeds x settings, and report metrics with intervals.",
    "repeat": "Run a row of a benchmark again, and say to which digit it agrees.",
    "leaderboard": "Add a policy to the table of tasks, check its rows, or make its page anew.",
    "info": "Print a network's configuration and multiply-adds.",
    "play": "Open a local page to play on: look where policies look, on the same scenes.",
    "tasks": "Measure what every built-in task claims of its scenes and network, and draw it.",
}
"""What each does. Its class, of the same name, is in `agents.commands.<name>`."""

HELP = Path(__file__).parent / "help"
"""What each says itself, see `agents.help_pages`."""

_FROM_A_PRESET = ("train", "curves")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = _parser().parse_args(given)
    if chosen.arguments in (["--help"], ["-h"]):
        print((HELP / f"{chosen.command}.txt").read_text(encoding="utf-8"), end="")
        return 0
    from rich.console import Console  # not for help

    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        parse([chosen.command, *chosen.arguments]).run(console)
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


def _parser() -> argparse.ArgumentParser:
    """Return the parser of everything up to the command's name."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="gf-env",
        description="Where to look next: environments, policies and benchmark around GFNet.",
        epilog="\n".join(["commands:", *lines, "", "`gf-env COMMAND --help` tells more of one."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gf-env {version('gf-env')}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the command")
    return parser


def parse(arguments: list[str]) -> Any:
    """Return the command that the arguments ask for; the first is its name."""
    import tyro

    name, *rest = arguments
    command = getattr(importlib.import_module(f"agents.commands.{name}"), name.capitalize())
    given: dict[str, Any] = {}
    if name in _FROM_A_PRESET:
        from agents.stages.starting_settings import starting_settings

        given["default"] = command(training=starting_settings(rest))
    return tyro.cli(command, prog=f"gf-env {name}", args=rest, **given)
