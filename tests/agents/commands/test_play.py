import importlib.util
import socket

import pytest

from agents.cli import main


@pytest.fixture
def refuse(capsys):
    """Run the command, which fails; return what it says."""

    def run(*arguments):
        assert main(["play", "--no-browser", *map(str, arguments)]) == 1
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return " ".join(said.split())

    return run


@pytest.fixture
def installed(monkeypatch):
    """Whether the page's library is installed does not matter to what is refused before."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found(name) or object())


def test_without_the_extra_it_says_how_to_get_it(refuse, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'gf-env[play]'" in refuse()


@pytest.mark.usefixtures("installed")
def test_a_taken_port_is_named(refuse):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refuse("--port", port)
    assert f"cannot listen on 127.0.0.1, port {port}" in said and "--port" in said


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--task", "digits"), "unknown task 'digits'"),
        (("--level", "odd"), "unknown level 'odd'"),
        (("--game", -1), "0 or more, got -1"),
        (("--port", 70000), "from 1 to 65535, got 70000"),
        (("--port", 0), "from 1 to 65535, got 0"),
        (("--host", "256.1.1.1"), "cannot listen on 256.1.1.1"),
        (("no-such-policy",), "unknown policy 'no-such-policy'"),
        (
            ("cluttered-digits-search", "--task", "hidden-digits", "--level", "easy"),
            "does not fit the task: cluttered-digits-search: made for images and patches of",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_page(refuse, arguments, message):
    assert message in refuse(*arguments)
