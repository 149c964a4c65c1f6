"""Files that are damaged, and writers that are stopped on the way."""

import itertools
import os

import pytest


def change(path, edit):
    """Put what `edit` makes of a file's bytes in it; the clock may be too coarse to show that."""
    path.write_bytes(edit(path.read_bytes()))
    os.utime(path, ns=(1, 1))


def refuse_to_write(*_):
    """Stands for a function that writes, on a full disk."""
    raise OSError(28, "No space left on device")


def flip(position):
    """Change a bit of one byte, counted from the end where negative."""

    def edit(content):
        content = bytearray(content)
        content[position] ^= 1
        return content

    return edit


def stopped_at_every_step(steps, action):
    """Run `action` stopped at the first call of `steps`, then at the second, and so on.

    Args:
        steps: (module, name) pairs of functions that change files.
        action: what is run; called with 0, 1, 2, ...

    Yields:
        How many steps there were before the stop, until the action runs to its end.
    """
    for allowed in itertools.count():
        left = iter(range(allowed))
        with pytest.MonkeyPatch.context() as patch:
            for module, name in steps:
                patch.setattr(module, name, _only_while(left, getattr(module, name)))
            try:
                action(allowed)
                return
            except KeyboardInterrupt:
                pass
        yield allowed


def _only_while(left, function):
    def call(*args, **kwargs):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return call
