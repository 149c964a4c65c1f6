"""`gf-env demo`: the main job on the built-in task."""

from __future__ import annotations

from dataclasses import dataclass, field

import tyro
from rich.console import Console

from agents import demo


@dataclass(frozen=True)
class Demo:
    """Train the paper's policy on the built-in task, compare it with others, and draw what it does.

    Attributes:
        config: how long it takes and where the results go.
    """

    config: tyro.conf.OmitArgPrefixes[demo.DemoConfig] = field(default_factory=demo.DemoConfig)

    def run(self, console: Console) -> None:
        """Run the demo."""
        demo.run(self.config, console)
