"""What `gf-env COMMAND --help` prints, kept in a file for each command.

Working it out takes all that the command imports, PyTorch among it, which takes seconds.
`python -m agents.help_pages` writes the files; a test compares them with what the commands say.
"""

import contextlib
import io
import itertools
import os
import textwrap
from unittest import mock

from agents.cli import COMMANDS, HELP, parse

_WIDTH = 100


def make_help(command: str) -> str:
    """Return what a command says itself, in lines of up to 100 characters."""
    said = io.StringIO()
    with (
        mock.patch.dict(os.environ, COLUMNS=str(_WIDTH)),
        contextlib.redirect_stdout(said),
        contextlib.suppress(SystemExit),
    ):
        parse([command, "--help"])
    lines = said.getvalue().strip().splitlines()
    # where it is no terminal, tyro leaves long lines of the description as they are
    short = (
        textwrap.wrap(line, _WIDTH) if len(line) > _WIDTH else [line.rstrip()] for line in lines
    )
    return "\n".join(itertools.chain.from_iterable(short)) + "\n"


def main() -> None:
    """Write the files of all commands."""
    HELP.mkdir(exist_ok=True)
    for command in COMMANDS:
        (HELP / f"{command}.txt").write_text(make_help(command), encoding="utf-8")


if __name__ == "__main__":
    main()
