"""`gf-env info`: a network's configuration and multiply-adds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from agents.registry.files import open_network


@dataclass(frozen=True)
class Info:
    """Print a network's configuration and multiply-adds.

    Attributes:
        network: a built-in name, a file, or a checkpoint of the paper's release.
    """

    network: Annotated[str, tyro.conf.Positional] = "cluttered-digits"

    def run(self, console: Console) -> None:
        """Print the configuration and the multiply-adds."""
        network = open_network(self.network)
        made = Table("", "", show_header=False, title=self.network)
        for key, value in asdict(network.config).items():
            made.add_row(key, _short(value))
        made.add_row("parameters", f"{sum(p.numel() for p in network.parameters()):,}")
        for step, cost in enumerate(network.step_cost.steps, start=1):
            made.add_row(f"multiply-adds, step {step}", f"{cost:,}")
        console.print(made)


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > 10:
        return f"{', '.join(map(str, value[:3]))}, ... ({len(value)} in all)"
    return str(value)
