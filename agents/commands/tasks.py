"""`gf-env tasks`: measures what the built-in tasks claim, draws them, and writes their page."""

import json
from pathlib import Path

from pydantic import PositiveInt
from rich.console import Console

from agents.reporting.provenance import MANIFEST, data_digests, versions, write_manifest
from agents.tasks.claims import CLAIMS, Claim
from agents.tasks.page import make_page
from agents.tasks.pictures import draw_episode, draw_scenes
from gf_env.builtin_tasks import BUILTIN_TASKS
from gf_env.configuration import configuration
from gf_env.envs.make_task import make_task
from gf_env.storage.files import write_atomically


@configuration
class Tasks:
    """Measure what every built-in task claims of its scenes and network, and draw it.

    Writes DOCS/tasks: claims.json, a picture of scenes and a GIF of an episode of each task. Then
    DOCS/TASKS.md, of these and of the reports in DOCS/results that `gf-env benchmark` writes for
    the suites tasks, find, search, plan and join.

    Attributes:
        docs: the folder.
        test_images: of each task's test split.
        measure: False writes the page anew and leaves all else as it is.
        page: False leaves out the page, which needs the reports.
    """

    docs: Path = Path("docs")
    test_images: PositiveInt = 2000
    measure: bool = True
    page: bool = True

    def run(self, console: Console) -> None:
        """Measure, draw, write."""
        folder = self.docs / "tasks"
        if self.measure:
            found = {name: self._measured(name, console) for name in BUILTIN_TASKS}
            content = {"test_images": self.test_images, "tasks": found, "versions": versions()}
            text = json.dumps(content, indent=1) + "\n"
            write_atomically(folder / "claims.json", text.encode())
            for name in BUILTIN_TASKS:
                draw_scenes(folder / f"{name}.png", name)
                draw_episode(folder / f"{name}.gif", name)
            tasks = [make_task(dataset=name, split="test") for name in BUILTIN_TASKS]
            write_manifest(
                folder / MANIFEST,
                self,
                seeds=[],
                networks={each.dataset.name: each.network.digest() for each in tasks},
                data=data_digests(each.dataset for each in tasks),
                files=[each for name in BUILTIN_TASKS for each in folder.glob(f"{name}.*")]
                + [folder / "claims.json"],
            )
            console.print(f"Written to {folder}.")
        if self.page:
            write_atomically(self.docs / "TASKS.md", make_page(self.docs).encode())
            console.print(f"Written to {self.docs / 'TASKS.md'}.")

    def _measured(self, name: str, console: Console) -> list[dict[str, object]]:
        with console.status(f"measuring {name}"):
            claims = CLAIMS[name](self.test_images)
        for claim in claims:
            console.print(_line(name, claim), markup=False, highlight=False)
        return [{**claim._asdict(), "value": float(claim.value)} for claim in claims]


def _line(name: str, claim: Claim) -> str:
    verdict = "" if claim.holds else "  DOES NOT HOLD"
    return f"{name}: {claim.text}: {claim.value:.3f}{verdict}"
