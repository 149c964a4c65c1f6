"""Numbers worked out by hand, and what a report says of what it lacks."""

import dataclasses
import json

import pytest

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.results import Metrics
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Difference, Entry
from tests.helpers import benchmark_rows as rows
from tests.helpers.benchmark_rows import ORACLE, OTHER, PAPER, RANDOM, fill, level, make_suite

SUITE = make_suite()
TWO_SETTINGS = make_suite(settings=("one", "two"))


@pytest.fixture
def folder(tmp_path):
    """All runs of the suite are done."""
    return fill(tmp_path, SUITE)


def report_on(path, suite=SUITE, accuracy=level):
    return make_report(suite, fill(path, suite, accuracy))


def by_name(lines):
    return {line.name: line for line in lines}


def lines(report):
    return by_name(report.settings[0].lines)


def runs_of(name):
    return [run for run in SUITE.runs() if run.entry.name == name]


def test_metrics_by_hand_which_json_holds_too(tmp_path):
    report = report_on(tmp_path, accuracy=rows.spread)
    line = lines(report)[OTHER]
    assert (line.kind, line.seeds) == ("learner", (0, 1, 2, 3, 4))
    # of .4, .5, .6, .7, .8 the middle three
    assert [each.estimate for each in line.accuracy] == pytest.approx([0.4, 0.5, 0.6])
    assert line.mean_return.estimate == pytest.approx(0.2)
    assert line.budgeted_area.estimate == pytest.approx(0.55)
    assert line.sampled_accuracy.estimate == pytest.approx(0.5)
    assert line.sampled_return.estimate == pytest.approx(0.1)
    assert 0.4 < line.accuracy[-1].low < 0.6 < line.accuracy[-1].high < 0.8
    # random's mean is .5 and the oracle's .9
    assert line.gap.estimate == pytest.approx(0.25)
    assert line.gap.low == pytest.approx((line.accuracy[-1].low - 0.5) / 0.4)
    # 1000 steps in 10, 11, 12, 13, 14 seconds
    assert (line.training.steps, line.training.seconds) == (1000, 12)
    assert line.training.steps_per_second == pytest.approx(1000 / 12)
    content = json.loads(json.dumps(dataclasses.asdict(report), allow_nan=False))
    (setting,) = content["settings"]
    assert setting["images"] == rows.IMAGES
    gaps = {each["name"]: each["gap"] for each in setting["lines"]}
    assert gaps[OTHER]["estimate"] == line.gap.estimate
    assert content["suite"] == "toy" and content["description"] == "Policies that were never run."


def test_comparison_with_the_reference_by_hand(folder):
    report = make_report(SUITE, folder)
    found = lines(report)
    assert found[PAPER].difference is found[PAPER].improvement is None
    # .8 of the images are right instead of .7, with every seed
    assert found[OTHER].difference.estimate == pytest.approx(0.1)
    assert found[OTHER].improvement.estimate == 1
    assert found[RANDOM].difference.estimate == pytest.approx(-0.2)
    assert found[RANDOM].improvement.estimate == 0
    # seeds that are all the same are fine
    accuracy = found[PAPER].accuracy[-1]
    assert accuracy.low == accuracy.high == accuracy.estimate == pytest.approx(0.7)
    assert not any(PAPER in sentence for sentence in report.missing if "seed" in sentence[:10])
    assert report.aggregates == ()  # there is one setting


def test_images_are_paired_by_index(folder):
    sure = lines(make_report(SUITE, folder))[OTHER].difference
    for run in runs_of(OTHER):
        row = folder.latest()[run.key]
        other_order = {name: each[::-1] for name, each in folder.arrays(row).items()}
        written = folder.write_arrays(run.key, other_order)
        folder.append(dataclasses.replace(row, arrays=written))
    assert lines(make_report(SUITE, folder))[OTHER].difference == sure


def test_bounds_come_first_and_what_has_no_metrics_last(tmp_path):
    report = report_on(tmp_path, accuracy=rows.without(OTHER))
    assert [line.name for line in report.settings[0].lines] == [ORACLE, PAPER, RANDOM, OTHER]


def test_open_and_failed_runs_are_said(tmp_path):
    folder = fill(tmp_path, SUITE, rows.without(OTHER))
    reasons = ("ValueError: too bad", "ValueError: too bad", "took more than 5 s")
    for run, reason in zip(runs_of(OTHER), reasons, strict=False):
        folder.append(rows.make_row(run, 0, failed=reason))
    report = make_report(SUITE, folder)
    assert report.missing[:3] == (
        f"{OTHER}, seeds 0, 1 failed: ValueError: too bad.",
        f"{OTHER}, seed 2 failed: took more than 5 s.",
        f"{OTHER}, seeds 3, 4 are not done yet.",
    )
    empty = lines(report)[OTHER]
    assert (empty.seeds, empty.accuracy, empty.gap, empty.difference) == ((), (), None, None)
    assert (report.runs, report.planned) == (11, 16)
    assert report.seconds == 14 * 30


def test_a_newer_row_takes_the_place_of_one_that_failed(tmp_path):
    folder = ResultsFolder(tmp_path)
    for run in SUITE.runs():
        folder.append(rows.make_row(run, 0, failed="too bad"))
    report = report_on(tmp_path)
    assert not any("failed" in sentence for sentence in report.missing)
    assert report.seconds == 16 * 30


def test_metrics_that_are_not_finite_count_as_failed(folder):
    sampled = Metrics((0.4, 0.5, 0.6), float("nan"))
    folder.append(rows.make_row(runs_of(OTHER)[2], 0.8, sampled=sampled))
    report = make_report(SUITE, folder)
    assert f"{OTHER}, seed 2 failed: some of its figures are NaN or infinite." in report.missing
    assert lines(report)[OTHER].seeds == (0, 1, 3, 4)


def test_a_row_that_is_done_has_metrics(folder):
    folder.append(rows.make_row(runs_of(OTHER)[2], 0.8, deterministic=None))
    said = " ".join(make_report(SUITE, folder).missing)
    assert (
        f"{OTHER}, seed 2 failed: " in said and "says that it is done, but has no metrics" in said
    )


def test_figures_that_were_edited_are_named_and_not_reported(folder):
    before = make_report(SUITE, folder)
    content = folder.file.read_text()
    edited = content.replace('"accuracy": [0.4, 0.6', '"accuracy": [0.9, 0.6', 1)
    assert edited != content
    folder.file.write_text(edited)
    report = make_report(SUITE, folder)
    assert report.runs == before.runs - 1
    assert any("is damaged: it does not match its checksum" in each for each in report.missing)
    accuracies = [each.estimate for line in report.settings[0].lines for each in line.accuracy]
    assert max(accuracies) <= 0.9 and lines(report)[OTHER].accuracy[0].estimate < 0.5


def test_few_seeds_are_said(tmp_path):
    report = report_on(tmp_path, make_suite(seeds=(0, 1)))
    assert lines(report)[PAPER].accuracy[-1].low is None
    (few,) = (sentence for sentence in report.missing if sentence.startswith("2 seeds: too few"))
    assert PAPER in few and ORACLE not in few
    same = f"The same with every seed, so run once and without intervals: {ORACLE}."
    assert same in report.missing


def test_a_single_seed_is_named_by_its_side(tmp_path):
    entries = [Entry(name, policy="gaussian", seeds=(0,)) for name in (PAPER, "mine")]
    entries[1] = dataclasses.replace(entries[1], settings={"std": 0.5}, seeds=None)
    report = report_on(tmp_path, make_suite(entries=entries))
    note = f"1 seed of {PAPER}: the interval leaves out the choice of it"
    assert lines(report)["mine"].difference.note == note
    assert f"Difference to {PAPER}, {note}: mine." in report.missing


@pytest.mark.parametrize(
    ("left_out", "accuracy", "reason"),
    [
        *((end, level, f"the suite has no {end}") for end in (RANDOM, ORACLE)),
        *((None, rows.without(end), f"{end} has no finished run") for end in (RANDOM, ORACLE)),
        (None, lambda run: 0.5, f"{ORACLE} is no better than {RANDOM}"),
    ],
)
def test_no_gap_without_its_ends(tmp_path, left_out, accuracy, reason):
    entries = tuple(each for each in SUITE.entries if each.name != left_out)
    report = report_on(tmp_path, make_suite(entries=entries), accuracy)
    assert all(line.gap is None for line in lines(report).values())
    assert f"No shares of the gap: {reason}." in report.missing


def test_no_comparison_without_a_reference(tmp_path):
    report = report_on(tmp_path, make_suite(reference="nobody"))
    assert all(line.difference is line.improvement is None for line in lines(report).values())
    assert "No comparisons with a reference: the suite has no nobody." in report.missing


@pytest.mark.parametrize("damage", ["gone", "of other images"])
def test_arrays_that_cannot_be_used_are_said(folder, damage):
    row = folder.latest()[runs_of(OTHER)[1].key]
    if damage == "gone":
        folder.arrays_path(row.key).unlink()
    else:
        arrays = folder.arrays(row)
        written = folder.write_arrays(row.key, {**arrays, "indices": arrays["indices"] + 10})
        folder.append(dataclasses.replace(row, arrays=written))
    report = make_report(SUITE, folder)
    assert lines(report)[OTHER].difference is None
    assert lines(report)[OTHER].improvement is not None
    (said,) = (each for each in report.missing if "is not compared image by image" in each)
    assert OTHER in said and "run it again" in said


def test_two_settings_are_pooled_by_hand(tmp_path):
    def accuracy(run):
        return 0.6 if (run.entry.name, run.setting.name) == (OTHER, "two") else level(run)

    report = report_on(tmp_path, TWO_SETTINGS, accuracy)
    aggregates = by_name(report.aggregates)
    assert [each.name for each in report.settings] == ["one", "two"]
    # shares .75 on one setting and .25 on the other, five seeds each: two go at either end
    assert aggregates[OTHER].gap.estimate == pytest.approx(0.5)
    assert aggregates[PAPER].gap.estimate == pytest.approx(0.5)
    assert aggregates[ORACLE].gap.estimate == pytest.approx(1)
    assert [each.estimate for each in aggregates[OTHER].gaps] == pytest.approx([0.75, 0.25])
    # above all of the reference's seeds on one setting, below on the other
    assert aggregates[OTHER].improvement.estimate == pytest.approx(0.5)
    assert aggregates[PAPER].improvement is None
    assert report.aggregates[0].name == ORACLE


def test_differences_of_returns_by_hand(tmp_path):
    pairs = [("more", OTHER, PAPER), ("none", PAPER, "nobody")]
    suite = make_suite(differences=tuple(Difference(*pair) for pair in pairs))
    report = report_on(tmp_path, suite, rows.spread)
    more, none = report.settings[0].differences
    # accuracy less that of the glance: 0 to .4 against .3
    assert (more.name, more.ours, more.theirs) == ("more", OTHER, PAPER)
    assert more.mean_return.estimate == pytest.approx(0.2 - 0.3)
    assert -0.3 < more.mean_return.low < -0.1 < more.mean_return.high < 0.1
    assert none.mean_return is None
    assert "No difference none: the suite has no nobody." in report.missing


def test_few_seeds_of_a_difference_are_said(tmp_path):
    suite = make_suite(seeds=(0, 1), differences=(Difference("more", OTHER, PAPER),))
    report = report_on(tmp_path, suite)
    assert report.settings[0].differences[0].mean_return.low is None
    assert any(each.startswith("Difference more, 2 seeds: too few") for each in report.missing)


def test_nothing_over_all_settings_where_one_lacks(tmp_path):
    report = report_on(tmp_path, TWO_SETTINGS, rows.without(OTHER, "two"))
    assert by_name(report.aggregates)[OTHER].gap is None
    assert f"{OTHER} on two, seeds 0, 1, 2, 3, 4 are not done yet." in report.missing
    assert any(each.endswith(f"without figures over all: {OTHER}.") for each in report.missing)


def test_rows_of_different_making_are_said(folder):
    later = {**rows.MADE, "at": "2030-01-03T00:00:00+00:00", "torch": "3.0", "load_before": 7.0}
    folder.append(rows.make_row(next(SUITE.runs()), 0.5, made=later))
    report = make_report(SUITE, folder)
    assert "Rows were made by different versions: torch 3.0 and 2.9." in report.missing
    assert (report.made.first, report.made.last) == (rows.MADE["at"], later["at"])
    assert report.made.machines == ({"cpu": "a processor", "cores": 2},)


def test_nothing_done_is_a_report_too(tmp_path):
    report = make_report(SUITE, ResultsFolder(tmp_path))
    assert len(report.missing) == 4
    assert all("not done yet" in sentence for sentence in report.missing)
    assert (report.runs, report.seconds, report.made.first) == (0, 0, None)
    json.dumps(dataclasses.asdict(report))


def test_two_names_for_one_run_count_once_in_time(tmp_path):
    suite = make_suite(entries=(*SUITE.entries, Entry("again", policy="random")))
    report = report_on(tmp_path, suite)
    assert report.seconds == 16 * 30
    assert lines(report)["again"].accuracy == lines(report)[RANDOM].accuracy
