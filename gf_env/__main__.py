"""`gf-env` and `python -m gf_env`: the command line, which lives in the package `agents`.

Nothing else in `gf_env` knows of `agents`, and this only its name. Other projects install a package
of that name too, so what hides ours is told here.
"""

import importlib
import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

_NAME = "agents"
_MARK = "GlanceFocus"
"""In the first line of our package's own text."""


def main() -> int:
    """Run the command line; return the exit status."""
    hidden = _hidden()
    if hidden is not None:
        print(f"gf-env: {hidden}", file=sys.stderr)
        return 1
    status: int = importlib.import_module(f"{_NAME}.cli").main()
    return status


def _hidden() -> str | None:
    """Return what stands in the place of our package `agents`, in words; None: nothing does."""
    own = Path(__file__).resolve().parents[1] / _NAME / "__init__.py"
    spec = find_spec(_NAME)
    found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
    if found == own and _MARK in own.read_text().partition("\n")[0]:
        return None
    if found is None:
        return f"its package {_NAME!r} is missing, expected {own.parent}; install gf-env again"
    others = sorted({*packages_distributions().get(_NAME, ())} - {"gf-env"})
    whose = f", which {' and '.join(others)} installed" if others else ""
    return (
        f"its package {_NAME!r} is hidden by another of that name, {found.parent}{whose}: run it "
        "from another folder, or install gf-env in an environment of its own"
    )


if __name__ == "__main__":
    sys.exit(main())
