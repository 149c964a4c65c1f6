"""What a suite found: a row for each thing that was tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]
"""Gets lines on what was found."""


@dataclass(frozen=True)
class Row:
    """What was found of one loader, job or environment id.

    Attributes:
        what: its name.
        tried: how often.
        faults: a sentence on each.
        figures: further numbers, by name.
    """

    what: str
    tried: int
    faults: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
