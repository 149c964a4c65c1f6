"""The documentation site: every page is read, every link and reference in it leads somewhere."""

import os
import subprocess
import sys

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    """Offline; the builder that writes nothing reads and checks as the others do."""
    pytest.importorskip("furo", reason="the extra [docs] is not installed")
    checks = ["-m", "sphinx", "-b", "dummy", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [sys.executable, *checks, "docs", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
