"""Files that are damaged, and processes that are stopped on the way."""

import itertools
import os

import pytest


def change(path, edit):
    """Edit a file's bytes; the clock may be too coarse to show that it changed."""
    content = bytearray(path.read_bytes())
    edit(content)
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def flip(position):
    """Change one bit of a byte."""

    def edit(content):
        content[position] ^= 1

    return edit


def halve(content):
    del content[len(content) // 2 :]


def cut_at(size):
    """Leave the first bytes."""
    return lambda content: content.__delitem__(slice(size, None))


def put(new):
    """Put something else in the file."""

    def edit(content):
        content[:] = new

    return edit


def stopped_at_every_step(steps, action):
    """Run `action` again and again, stopped at the first call of `steps`, at the second, and so on.

    Args:
        steps: (module, name) pairs of functions that change files.
        action: what is run.

    Yields:
        How many calls were let pass before the stop, until the action runs to its end.
    """
    for allowed in itertools.count():
        with pytest.MonkeyPatch.context() as patch:
            left = iter(range(allowed))
            for module, name in steps:
                patch.setattr(module, name, _only_while(left, getattr(module, name)))
            try:
                action()
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
