"""The documentation site: `make docs` builds it from these pages, the README and the docstrings."""

import importlib
import inspect
import os
import re
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

project = html_title = "GlanceFocus"
version = release = version_of("gf-env")
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # reports are parts of a page, too, and begin at its level
default_role = "py:obj"  # names in docstrings link to what they name, where it has a page
napoleon_use_ivar = True
autodoc_member_order = "bysource"
toc_object_entries = False

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
FROM_ROOT = {
    "index": "README.md",
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
}
"""Pages that begin with a file of the repository's root."""
PACKAGES = {"api/gf_env": "gf_env", "api/agents": "agents"}
"""Pages of a package's public names."""
CARDS = {"environments": "gf_env.envs.env:GlanceFocusEnv"}
"""Pages that end with a docstring in Markdown, as Gymnasium's environments have it."""

_LINK = re.compile(r"\[([^]]+)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def setup(app: Sphinx) -> None:
    """Make pages complete when they are read."""
    app.connect("source-read", lambda _, page, source: _complete(page, source))


def _complete(page: str, source: list[str]) -> None:
    text, folder = source[0], (DOCS / page).parent
    if page in FROM_ROOT:
        text, folder = (ROOT / FROM_ROOT[page]).read_text() + text, ROOT
    if page in CARDS:
        text += _card(CARDS[page])
    if page in PACKAGES:
        text += "\n\n".join(_public_names(PACKAGES[page]))
    source[0] = _LINK.sub(lambda link: _on_the_site(link, folder, (DOCS / page).parent), text)


def _on_the_site(link: re.Match[str], folder: Path, page_folder: Path) -> str:
    """Return a link as a page has it on the site.

    Args:
        link: see `_LINK`.
        folder: what it is relative to.
        page_folder: where the page is.
    """
    label, target, anchor = link[1], (folder / link[2]).resolve(), link[3] or ""
    if target.is_dir():
        return label  # a site has pages, and no folders
    pages = {ROOT / name: DOCS / f"{page}.md" for page, name in FROM_ROOT.items()}
    return f"[{label}]({os.path.relpath(pages.get(target, target), page_folder)}{anchor})"


def _card(name: str) -> str:
    module, _, owner = name.partition(":")
    text = inspect.getdoc(getattr(importlib.import_module(module), owner)) or ""
    return text.partition("\nArgs:")[0]


def _public_names(package: str) -> list[str]:
    """Return a directive for each public name of a package."""
    module = importlib.import_module(package)
    return [_directive(f"{package}.{name}", getattr(module, name)) for name in module.__all__]


def _directive(name: str, value: object) -> str:
    if inspect.isclass(value):
        lines = [f".. autoclass:: {name}", "   :members:"]
    else:
        lines = [f".. autofunction:: {name}"]
    return "\n".join(["```{eval-rst}", *lines, "```"])
