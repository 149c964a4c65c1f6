"""`gf-env benchmark` on many machines: shards, their commands, and merged folders."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from agents.cli import main
from tests.helpers.paths import ROOT

SUITE = """
description = "a test"
seeds = [0, 1]
reference = "random"

[[settings]]
name = "few"
num_images = 20

[[policies]]
name = "random"
policy = "random"

[[policies]]
name = "learned"
learner = "paper-ppo"
settings = { updates = 1, num_envs = 8 }
seeds = [0]
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my suite.toml").write_text(SUITE)
    return "my suite.toml"


def listed(capsys, *arguments):
    """The commands that are listed, as words."""
    capsys.readouterr()
    assert main(["benchmark", *arguments, "--list"]) == 0
    return [shlex.split(line) for line in capsys.readouterr().out.splitlines()]


def figures(folder):
    """Rows by key without times, and the names and bytes of arrays and policies."""
    rows = {}
    for line in (folder / "results.jsonl").read_text().splitlines()[1:]:
        row = json.loads(line)
        del row["checksum"], row["seconds"], row["made"]
        if row["training"] is not None:
            del row["training"]["seconds"]
            row["training"]["curve"] = [[p[0], *p[2:]] for p in row["training"]["curve"]]
        rows[row["key"]] = row
    files = [*folder.glob("arrays/*"), *folder.glob("policies/*")]
    return rows, {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_shards_merged_are_the_same_as_local_processes(suite, capsys):
    given = [suite, "--timeout", "500", "--output", "an output"]
    assert main(["benchmark", suite, "--jobs", "1", "--output", "local"]) == 0
    commands = listed(capsys, *given)
    assert len(commands) == 3  # two seeds of one, one of the other
    assert not Path("an output").exists()
    for program, *words in commands[:2]:
        assert program == "gf-env"
        assert main(words) == 0
    assert listed(capsys, *given) == commands[2:]
    assert main(commands[2][1:]) == 0
    assert listed(capsys, *given) == []
    shards = sorted(map(str, Path("an output/shards").iterdir()))
    assert main(["benchmark", suite, "--merge", *shards, "--output", "an output"]) == 0
    assert "Merged 3 runs into an output." in capsys.readouterr().out
    assert figures(Path("an output")) == figures(Path("local"))
    assert len(figures(Path("local"))[1]) == 4  # three arrays, a policy
    reports = [
        json.loads(Path(f, "my suite/report.json").read_text()) for f in ("local", "an output")
    ]
    assert reports[0]["runs"] == reports[1]["runs"] == 3
    more = ["--seeds", "0", "1", "2", "--only", "random"]
    (command,) = listed(capsys, *given, *more)  # of the one run that is new
    assert command[:5] == ["gf-env", "benchmark", suite, "--output", "an output/shards/3-of-3"]
    assert command[5:] == [*more, "--timeout", "500.0", "--shard", "3/3"]


def test_a_shard_with_a_run_that_failed_ends_with_1(suite, capsys):
    broken = "tests.helpers.odd_policies:NotANumber"
    options = [suite, "--policies", broken, "--only", broken, "random", "--seeds", "0"]
    words = listed(capsys, *options, "--output", "out", "--shards", "2")
    codes = [main(command[1:]) for command in words]
    assert codes == [0, 1]
    assert "1 of 1 runs failed" in " ".join(capsys.readouterr().err.split())
    assert listed(capsys, *options, "--output", "out") == []
    again = listed(capsys, *options, "--output", "out", "--shards", "2", "--retry")
    assert [command[-1] for command in again] == ["2/2"]
    assert "--retry" in again[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shard", "0/3"], "the shard must be 1/3 to 3/3, got 0/3"),
        (["--shard", "third"], "a shard is given as i/n"),
        (["--shard", "1/2", "--list"], "--shard and --list cannot be given together"),
        (["--merge", "a", "--no-run"], "--no-run and --merge cannot be given together"),
        (["--shards", "3"], "--shards belongs to --list"),
        (["--list", "--shards", "0"], "shards must be greater than 0"),
        (["--list", "--policies", "centr"], "policy 'centr', of which no run was begun"),
        (["--merge", "nowhere"], "expected a folder of results, found none at nowhere"),
        (["--executor", "magic"], "unknown executor 'magic'"),
    ],
)
def test_what_cannot_be(suite, options, message, capsys):
    try:
        assert main(["benchmark", suite, *options]) == 1
    except SystemExit as ended:  # as of a command line that cannot be parsed
        assert ended.code == 2
    printed = capsys.readouterr().err.translate(str.maketrans("│╭╮╰╯─", "      "))
    assert message in " ".join(printed.split())
    assert sorted(path.name for path in Path().iterdir()) == [suite]


@pytest.mark.parametrize("task", [1, 2, 3])
def test_the_job_array_runs_the_line_of_its_task(tmp_path, task):
    """As Slurm would: Bash, with the number of the task in the environment."""
    fake = tmp_path / "bin" / "gf-env"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    fake.chmod(0o755)
    commands = [
        ["gf-env", "benchmark", f"suite {n}.toml", "--only", "it's $HOME"] for n in (1, 2, 3)
    ]
    (tmp_path / "commands.txt").write_text("".join(f"{shlex.join(each)}\n" for each in commands))
    done = subprocess.run(
        ["bash", str(ROOT / "examples/benchmark.sbatch"), "commands.txt"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{fake.parent}:{os.environ['PATH']}",
            "SLURM_ARRAY_TASK_ID": str(task),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == commands[task - 1][1:]
