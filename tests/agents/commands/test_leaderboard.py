"""From a policy to a row, and from a row to its policy."""

import json
from pathlib import Path

import pytest

import agents
from agents.cli import main
from agents.learners.architectures.map import Map
from gf_env.envs.make_task import make_task


@pytest.fixture
def leaderboard(tmp_path, monkeypatch, capsys):
    """Run the command in a folder of its own; return its status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            status = main(["leaderboard", *arguments])
        except SystemExit as error:  # of arguments that cannot be
            status = error.code
        said = capsys.readouterr()
        return status, " ".join(f"{said.out}{said.err}".split())

    return run


ROWS = Path("docs/leaderboard")


def test_a_policy_is_added_and_checked(leaderboard):
    task = make_task(grid_size=7, split="test")
    policies = []
    for seed in (0, 1):
        policy = Map(components=0, hidden_size=4, evidence_size=2).new_policy(task, seed)
        policy.save(f"mine-{seed}.safetensors")
        policies.append(f"mine-{seed}.safetensors")
    options = ["--name", "my map", "--about", "It knows nothing.", "--images", "20"]
    status, said = leaderboard("add", *policies, *options)
    assert status == 0
    assert "my map on cluttered-digits, seed 1: accuracy" in said
    kept = ROWS / "policies" / "my-map-cluttered-digits-1.safetensors"
    assert kept.read_bytes() == Path(policies[1]).read_bytes()
    assert isinstance(agents.load_policy(kept), agents.MapPolicy)
    assert "| my map | learner | 2 |" in Path("docs/LEADERBOARD.md").read_text()
    assert leaderboard("check") == (0, "2 rows are what their policies do.")
    file = ROWS / "my-map.json"
    described = json.loads(file.read_text())
    true = described["rows"][1]["accuracy"][4]
    described["rows"][1]["accuracy"][4] = 0.987
    described["rows"][1]["identity"]["network digest"] += "0"
    file.write_text(json.dumps(described))
    status, said = leaderboard("check", "my map")
    assert status == 1
    assert "my map on cluttered-digits, seed 1: it is of another version of the task" in said
    described["rows"][1]["identity"] = described["rows"][0]["identity"]
    file.write_text(json.dumps(described))
    status, said = leaderboard("check", "my map")
    assert status == 1
    both = f"an accuracy of 0.9870 after look 5, its policy has {true:.4f}"
    assert f"my map on cluttered-digits, seed 1: its row says {both}" in said
    assert "seed 0" not in said
    kept.unlink()
    assert "cluttered-digits-1.safetensors is not there" in leaderboard("check")[1]


def test_a_rule_has_a_row_a_seed_and_what_was_said_of_it_stays(leaderboard):
    leaderboard("add", "random", "--seeds", "3", "4", "--images", "20", "--about", "Chance.")
    leaderboard("add", "random", "--seeds", "5", "--images", "20")
    entry = json.loads((ROWS / "random.json").read_text())
    assert (entry["kind"], entry["about"]) == ("rule", "Chance.")
    assert [row["seed"] for row in entry["rows"]] == [3, 4, 5]
    assert len({row["mean_return"] for row in entry["rows"]}) == 3
    assert leaderboard("check", "random")[0] == 0
    status, said = leaderboard("check", "nobody")
    assert (status, "the table has no ['nobody']; it has ['random']" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add"], "add needs a policy"),
        (["add", "a", "b", "--seeds", "1", "--name", "c"], "2 policies need as many seeds, got 1"),
        (["add", "a", "b"], "needs a --name"),
        (["add", "random", "--task", "chess"], "task must be one of"),
        (["add", "nowhere.safetensors"], "unknown policy 'nowhere.safetensors'"),
        (["add", "nowhere.zip"], "nowhere.zip is a model that Stable-Baselines3 saved"),
    ],
)
def test_what_cannot_be_added(leaderboard, arguments, message):
    status, said = leaderboard(*arguments)
    assert status != 0
    assert message in said
    assert not Path("docs").exists()
