"""The notebooks of the course run from top to bottom, and keep what they printed."""

import re

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("ipykernel", reason="the extra [notebooks] is not installed")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
SMALL = {"STEPS": 4096, "IMAGES": 64, "SCENES": 500}
"""In place of the sizes that a reader runs."""


def test_there_are_three():
    assert len(NOTEBOOKS) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_outputs_are_kept_and_its_questions_answered(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert kinds == {"stream", "display_data"}  # prints and plots, and no error
    questions = [cell.source for cell in cells if "**Question.**" in cell.source]
    assert len(questions) >= 3
    for text in questions:
        assert re.search(r"<details><summary>Answer</summary>\n\n.+\n\n</details>", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path):
    notebook = nbformat.read(path, as_version=4)
    changed = 0
    for cell in notebook.cells:
        for name, value in SMALL.items():
            cell.source, found = re.subn(
                rf"^{name} = [\d_]+", f"{name} = {value}", cell.source, flags=re.M
            )
            changed += found
    assert changed
    where = {"metadata": {"path": str(ROOT)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
