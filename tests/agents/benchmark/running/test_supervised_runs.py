"""Runs that learn until their curve is flat, and those that are killed while they learn."""

import dataclasses
import functools

import pytest

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.analysis.rows import collect
from agents.benchmark.display.learning_curves import learning_curves
from agents.benchmark.display.style import choose_styles
from agents.benchmark.display.tables import markdown
from agents.benchmark.results import Metrics, Training
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.running import one_run
from agents.benchmark.running.executors import Work
from agents.benchmark.suite import Entry, Run, Setting
from agents.learners.plateau import Plateau
from agents.learners.supervisor import Supervisor
from tests.helpers import benchmark_rows as rows
from tests.helpers.benchmark_rows import OTHER, PAPER, make_suite

SETTING = Setting("few", num_images=24)
RULE = Plateau(most_steps=320, validations=5, num_images=24, ends=False)
LEARNER = Entry(
    "learner", learner="reinforce", settings={"num_envs": 16, "sees": ["step"]}, plateau=RULE
)


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "results")


def execute(run, folder, on_progress=lambda line: None):
    return one_run.execute(run, folder, on_progress)


def without_clock(row):
    training = row.training
    curves = [
        [(point[0], *point[2:]) for point in each] for each in (training.curve, training.validation)
    ]
    return row.deterministic, row.sampled, row.arrays, training.steps, curves, training.on_training


def test_a_killed_run_is_resumed_and_gives_the_same_row(folder, tmp_path, monkeypatch):
    at_once = functools.partial(Supervisor, seconds_between=0)
    monkeypatch.setattr(one_run, "Supervisor", at_once)
    run = Run(LEARNER, SETTING, seed=3)
    uninterrupted = execute(run, ResultsFolder(tmp_path / "other"))
    monkeypatch.setattr(one_run, "_SECONDS_BETWEEN_LINES", -1)
    lines = []

    def killed(line):
        lines.append(line)
        if len(lines) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(run, folder, killed)
    assert folder.checkpoint_path(run.key).is_file()
    told = []
    row = execute(run, folder, told.append)
    assert [line.split(" in ")[0] for line in told[:5]] == [f"{64 * n} steps" for n in range(1, 6)]
    assert without_clock(row) == without_clock(uninterrupted)
    assert row.seconds > row.training.seconds > 0
    Work(folder, None, None, lambda run, event: None).end(run, row)
    assert not folder.checkpoint_path(run.key).exists()
    assert folder.read() == [row]


@pytest.mark.parametrize(
    ("learner", "settings", "task"),
    [
        ("map-reinforce", {"num_envs": 16, "components": 0}, {"grid_size": 7}),
        ("sb3-ppo", {"num_envs": 8, "settings": {"n_steps": 4, "batch_size": 32}}, {}),
        ("sb3-sac", {"num_envs": 8, "settings": {"buffer_size": 256, "gradient_steps": 1}}, {}),
    ],
)
def test_a_row_has_what_a_rule_found(folder, learner, settings, task):
    rule = dataclasses.replace(RULE, validations=2)
    entry = Entry(
        "learner", learner=learner, settings=settings, task=task, plateau=rule, feature_bank=False
    )
    row = execute(Run(entry, SETTING, 0), folder)
    training = row.training
    assert 320 <= training.steps <= 384
    assert training.at_plateau in (True, False)
    assert 1 <= len(training.validation) <= 2
    steps, seconds, _, accuracy = training.validation[-1]
    assert (steps, seconds <= training.seconds, 0 <= accuracy <= 1) == (training.steps, True, True)
    folder.append(row)
    (read,) = folder.read()
    assert read.training.validation == training.validation
    assert read.training.on_training == training.on_training


def test_a_rule_is_part_of_what_a_run_is():
    def spec(**changes):
        return Run(dataclasses.replace(LEARNER, **changes), SETTING, 0).spec

    assert "plateau" not in spec(plateau=None)
    assert spec()["plateau"]["most_steps"] == spec()["settings"]["steps"] == 320
    assert "steps" not in spec(plateau=None)["settings"]
    declared = spec(plateau=Plateau())
    assert declared["plateau"]["most_steps"] == declared["settings"]["steps"] == 5_000_000
    signs = Run(
        dataclasses.replace(LEARNER, plateau=Plateau()), Setting("s", dataset="signposts"), 0
    )
    assert signs.spec["settings"]["steps"] == 2_000_000
    # a length of its own stands
    own = spec(settings={"updates": 7})["settings"]
    assert (own["updates"], "steps" in own) == (7, False)
    sb3 = spec(learner="sb3-sac", settings={})["settings"]
    assert sb3["total_timesteps"] == 320
    assert spec(learner="belief", settings={}, task={"grid_size": 7})["settings"]["epochs"] == 20


def test_a_rule_is_for_what_learns():
    with pytest.raises(ValueError, match="'a' has a plateau, but learns nothing"):
        Entry("a", policy="random", plateau=RULE)
    with pytest.raises(ValueError, match="gain must be greater than 0"):
        Entry("a", learner="reinforce", plateau={"gain": 0})


@pytest.fixture
def reported(folder):
    """Both learners with a curve of validation; one seed of the other still rises."""
    suite = make_suite()
    for run in suite.runs():
        changes = {}
        if run.entry.name in (PAPER, OTHER):
            points = tuple((100.0 * n, 1.0 * n, 0.05 * n, 0.5) for n in range(1, 6))
            flat = run.entry.name == PAPER or run.seed != 2
            on_training = Metrics((0.4, 0.6, 0.9), 0.625)
            changes = {"training": Training(500, 5.0, points, points, flat, on_training)}
        folder.append(rows.make_row(run, rows.level(run), **changes))
    return suite, make_report(suite, folder), folder


def test_a_report_shows_training_beside_test_and_who_still_rises(reported):
    _, report, _ = reported
    lines = {line.name: line for line in report.settings[0].lines}
    assert lines[OTHER].return_on_training.estimate == pytest.approx(0.625)
    assert lines["random"].return_on_training is None
    assert [lines[name].training.at_plateau for name in (PAPER, OTHER)] == [5, 4]
    text = markdown(report)
    assert "| return | training return | gap |" in text
    assert "| 4 of 5 |" in text
    assert (
        f"Still rising on validation images where training ended: {OTHER} (1 of 5 seeds)." in text
    )
    assert "*at plateau*" in text and "*training return*" in text


def test_curves_of_validation_are_drawn(reported):
    suite, _, folder = reported
    found = collect(suite, folder)
    styles = choose_styles(suite.entries)
    panels = learning_curves(suite.settings[0], [PAPER, OTHER], found, styles).axes
    assert len(panels) == 3 * 2
    assert {panel.get_ylabel() for panel in panels[4:]} == {"return on validation images"}
    assert [*panels[4].lines[0].get_ydata()] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25])
