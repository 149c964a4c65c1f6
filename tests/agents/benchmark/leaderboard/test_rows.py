import dataclasses
import json

import pytest

from agents.benchmark.leaderboard import rows
from agents.benchmark.leaderboard.rows import (
    Entry,
    LeaderboardError,
    Row,
    file_stem,
    keep_policy,
    open_name,
    read_entries,
    read_entry,
    settings_for,
    write_entry,
)

ROW = Row(
    "signposts", 0, "random", {}, None, 20, (0.1, 0.25), 0.15, {"network": "n"}, {"at": "now"}
)
ENTRY = Entry("My learner, 2!", "learner", "A | bar.", (ROW,))


def of(row, **changes):
    return dataclasses.replace(row, **changes)


def test_an_entry_is_read_as_it_was_written(tmp_path):
    entry = ENTRY.with_row(of(ROW, seed=1, settings={"width": 2}))
    path = write_entry(tmp_path, entry)
    assert path.name == "my-learner-2.json"
    assert read_entries(tmp_path) == [entry]
    # a row a line
    assert sum('"seed"' in line for line in path.read_text().splitlines()) == 2


def test_a_row_takes_the_place_of_that_of_the_same_task_and_seed():
    others = of(ROW, seed=1), of(ROW, task="digit-sums")
    entry = ENTRY.with_row(others[0]).with_row(others[1]).with_row(of(ROW, mean_return=0.2))
    assert [(row.task, row.seed, row.mean_return) for row in entry.rows] == [
        ("digit-sums", 0, 0.15),
        ("signposts", 0, 0.2),
        ("signposts", 1, 0.15),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "another"}, "it has no format 'gf-env leaderboard 1'"),
        ({"name": "other"}, r"'other' belongs into other\.json"),
        ({"rows": [{}]}, "rows"),
        ({"rows": [{**dataclasses.asdict(ROW), "mean_return": float("nan")}]}, "must be finite"),
        ({"kind": None}, "kind"),
    ],
)
def test_files_that_hold_something_else(tmp_path, change, message):
    path = write_entry(tmp_path, ENTRY)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(
        LeaderboardError, match=rf"my-learner-2\.json is no entry.*{message}"
    ) as error:
        read_entry(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "stem"), [("A b", "a-b"), ("search (belief)", "search-belief"), ("PPO--2", "ppo-2")]
)
def test_stems(name, stem):
    assert file_stem(name) == stem


def test_a_name_without_letters():
    with pytest.raises(ValueError, match=r"needs a letter or a digit, got '\.\./'"):
        file_stem("../")


def test_a_file_is_copied_and_known_by_its_content(tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"one")
    folder = tmp_path / "leaderboard"
    name, digest = keep_policy(folder, str(file), "mine-signposts-0")
    assert name == "policies/mine-signposts-0.safetensors"
    row = of(ROW, policy=name, digest=digest)
    assert open_name(folder, row) == str(folder / name)
    (folder / name).write_bytes(b"two")
    with pytest.raises(LeaderboardError, match=r"is another file: .* was 7692c3.*now 3fc4c"):
        open_name(folder, row)
    (folder / name).unlink()
    with pytest.raises(LeaderboardError, match=r"/mine-signposts-0\.safetensors is not there"):
        open_name(folder, row)


def test_a_row_cannot_name_a_file_elsewhere(tmp_path):
    with pytest.raises(LeaderboardError, match=r"its policy \.\./secret is not in"):
        open_name(tmp_path / "leaderboard", of(ROW, policy="../secret", digest="0"))


def test_what_is_no_file_stays_what_it_is(tmp_path):
    for policy in ("random", "greedy-oracle", "examples.own_policy:BrightestCell"):
        assert keep_policy(tmp_path, policy, "stem") == (policy, None)
    name, digest = keep_policy(tmp_path, "cluttered-digits", "stem")
    assert name == open_name(tmp_path, of(ROW, policy=name, digest=digest)) == "cluttered-digits"
    assert [*tmp_path.iterdir()] == []


def test_files_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "LARGEST_POLICY", 3)
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"four")
    with pytest.raises(ValueError, match=r"has 4 bytes, and a policy of the table at most 3"):
        keep_policy(tmp_path, str(file), "stem")


def test_bounds_are_as_wide_as_scores_ask_for():
    assert settings_for("beam-search-oracle", 7) == {"grid_size": 7, "width": 49}
    assert settings_for("greedy-oracle", 3) == {"grid_size": 3}
    assert settings_for("random", 7) == {}
