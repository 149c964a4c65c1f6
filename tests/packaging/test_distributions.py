"""What is installed from a wheel or an sdist is what is here: modules, stubs, assets and suites.

That an installed package works is seen by `make test-package`, in an environment of its own.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.helpers.paths import ROOT

pytest.importorskip("setuptools", minversion="77")

PACKAGES = "gf_env", "agents"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"


def here():
    """Return every file of the packages, as an archive names it."""
    return {
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    for kind in ("sdist", "wheel"):
        command = [sys.executable, "-c", BUILD.format(kind), str(folder)]
        subprocess.run(command, cwd=folder / "source", check=True, capture_output=True, timeout=120)
    return folder


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(archives):
    (path,) = archives.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        text = wheel.read(metadata).decode()
    assert names == here()
    assert any(name.endswith(".safetensors") for name in names)
    assert "Description-Content-Type: text/markdown" in text
    assert "Project-URL: Paper, https://arxiv.org/abs/2010.05300" in text


def test_the_sdist_has_them_too(archives):
    (path,) = archives.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert here() <= names
