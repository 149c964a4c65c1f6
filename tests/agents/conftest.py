import pytest

from agents.cli import main


@pytest.fixture
def call(capsys):
    """Run a command that succeeds; return what it prints."""

    def run(*arguments):
        assert main([*map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run
