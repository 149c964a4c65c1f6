import pytest

from agents.benchmark.suite import Curves, Difference
from agents.benchmark.suite_files import load_suite, suite_names


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


MINE = """
description = "two learners"
seeds = [0, 3]
include = ["references"]
reference = "short"

[base]
learner = "paper-ppo"
settings = { updates = 5, gamma = 0.5 }
task = { lattice_stride = 12 }

[[settings]]
name = "short"
sequence_length = 3

[[settings]]
name = "long"
num_images = 10

[[policies]]
name = "short"

[[policies]]
name = "other"
settings = { gamma = 0.9 }
task = { reward = "correctness_gain" }
seeds = [7]

[[differences]]
name = "discount"
ours = "other"
theirs = "short"

[[curves]]
name = "stopping"
learned = ["other"]
against = "short"
"""


def test_a_file(tmp_path):
    suite = load_suite(write(tmp_path, MINE))
    assert suite.name == "mine"
    assert [entry.name for entry in suite.entries] == ["random", "greedy oracle", "short", "other"]
    other = suite.entries[3]
    assert other.settings == {"updates": 5, "gamma": 0.9}
    assert other.task == {"lattice_stride": 12, "reward": "correctness_gain"}
    assert other.seeds == (7,)
    assert suite.settings[0].sequence_length == 3
    assert suite.settings[1].num_images == 10
    assert suite.differences == (Difference("discount", "other", "short"),)
    assert suite.curves == (Curves("stopping", ("other",), "short"),)


def test_runs_go_seed_by_seed(tmp_path):
    """A suite that is broken off then has some of all."""
    suite = load_suite(write(tmp_path, MINE))
    runs = [(run.seed, run.setting.name, run.entry.name) for run in suite.runs()]
    assert runs == [
        *((0, "short", name) for name in ("random", "greedy oracle", "short")),
        *((0, "long", name) for name in ("random", "greedy oracle", "short")),
        *((3, setting, name) for setting in ("short", "long") for name in ("random", "short")),
        *((7, setting, "other") for setting in ("short", "long")),
    ]


SEEDS, NOTHING_SAID = "seeds = [0]", "description = ''"
POLICY = "[[policies]]\nname = 'random'\npolicy = 'random'"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("seeds = [0",), "cannot be read"),
        ((SEEDS, NOTHING_SAID), "has no policies"),
        ((SEEDS, POLICY), "description"),
        ((SEEDS, NOTHING_SAID, POLICY, "polices = 'random'"),
         "'.*mine.toml' cannot be read: policy 'random': Entry: polices"),
        ((SEEDS, NOTHING_SAID, "[[settings]]\nname = 'x'\nnum_images = 0", POLICY),
         "setting 'x': Setting: num_images must be"),
        ((SEEDS, NOTHING_SAID, "[[differences]]\nname = 'x'\nours = 'random'", POLICY),
         "difference 'x': Difference: theirs"),
        ((SEEDS, NOTHING_SAID, "[[curves]]\nname = 'x'\nagainst = 'random'\nlearned = []", POLICY),
         "curves 'x': Curves: learned"),
        ((SEEDS, NOTHING_SAID, "colour = 1", POLICY), "colour"),
        (("include = ['references']", SEEDS, NOTHING_SAID, POLICY), "twice: \\['random'\\]"),
        (("include = ['nothing']", SEEDS, NOTHING_SAID), "unknown suite 'nothing'"),
    ],
)  # fmt: skip
def test_files_that_cannot_be(tmp_path, lines, message):
    text = "\n".join(lines)
    with pytest.raises(ValueError, match=message):
        load_suite(write(tmp_path, text))


@pytest.mark.parametrize("others", [["mine"], ["rules", "theirs"]])
def test_a_suite_that_includes_itself(tmp_path, monkeypatch, others):
    monkeypatch.chdir(tmp_path)
    files = {name: f"{name}.toml" for name in ("mine", "theirs")}
    (tmp_path / "mine.toml").write_text(f"include = {[files.get(each, each) for each in others]}")
    (tmp_path / "theirs.toml").write_text("include = ['mine.toml']")
    with pytest.raises(ValueError, match=r"include itself: 'mine.toml' includes.*'mine.toml'"):
        load_suite("mine.toml")


def test_tables_that_are_nested_too_deeply(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        load_suite(write(tmp_path, f"seeds = {'[' * 100_000}"))


def test_a_name_that_is_none():
    with pytest.raises(ValueError, match=r"'nothing': neither a file nor one of.*rules"):
        load_suite("nothing")


@pytest.mark.parametrize("name", suite_names())
def test_suites_that_come_with_the_package(name):
    suite = load_suite(name)
    assert suite.description
    names = {entry.name for entry in suite.entries}
    assert {suite.random, suite.oracle, suite.reference} <= names
    compared = {name for each in suite.curves for name in (*each.learned, each.against)}
    assert (
        compared | {name for each in suite.differences for name in (each.ours, each.theirs)}
        <= names
    )
    learners = [entry for entry in suite.entries if entry.kind == "learner"]
    assert all(len(entry.seeds or suite.seeds) >= 5 for entry in learners)
    keys = [run.key for run in suite.runs()]
    assert len({*keys}) == len(keys)
