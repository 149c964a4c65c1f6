"""Pictures are written and can be read as plots; what they count, by hand."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from agents.benchmark.analysis.make_report import make_report
from agents.benchmark.analysis.rows import collect
from agents.benchmark.display.learning_curves import common_curve, learning_curves
from agents.benchmark.display.looks import centre_counts, heat_maps
from agents.benchmark.display.plots import accuracy_per_look, gap, write_plots
from agents.benchmark.display.scores import scores
from agents.benchmark.display.stopping import stopping
from agents.benchmark.display.style import MOST_LINES, choose_styles
from agents.benchmark.results import Metrics, Training
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Entry
from tests.helpers import benchmark_rows as rows
from tests.helpers.benchmark_rows import (
    ORACLE,
    OTHER,
    PAPER,
    RANDOM,
    fill,
    fill_stopping,
    make_suite,
    spread,
    stopping_suite,
)

PLOTS = ("accuracy_per_look", "gap", "learning_curves", "heat_maps", "episodes")
SUITE = make_suite()
SETTING = SUITE.settings[0]


def write(path, suite=SUITE, accuracy=spread):
    folder = fill(path, suite, accuracy)
    return write_plots(make_report(suite, folder), suite, folder, path / "plots")


def test_plots_of_one_setting(tmp_path):
    # names with signs of mathematics are drawn letter by letter
    entries = (Entry("a $\\frac$ b_c", policy="random"), *SUITE.entries)
    written = write(tmp_path, make_suite(entries=entries))
    assert written == [tmp_path / "plots" / f"{name}.png" for name in PLOTS]
    for path in written:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.width > 500 and picture.height > 250
            assert len(picture.convert("L").getcolors()) > 10


def test_each_of_several_settings_has_a_folder(tmp_path):
    written = write(tmp_path, make_suite(settings=("One", "two / 2")))
    folders = {path.parent.name for path in written}
    assert folders == {"1-one", "2-two-2", "plots"}
    assert [path.name for path in written].count("gap.png") == 3
    assert written[-1] == tmp_path / "plots" / "scores.png"
    assert all(path.exists() for path in written)


def test_what_there_is_nothing_of_has_no_plots(tmp_path):
    assert write(tmp_path / "nothing", accuracy=lambda run: None) == []
    rules = make_suite(entries=SUITE.entries[:2], reference=RANDOM)
    written = write(tmp_path / "rules", rules)
    assert {path.stem for path in written} == {*PLOTS} - {"learning_curves"}


def test_runs_whose_arrays_are_gone_are_left_out(tmp_path):
    folder = fill(tmp_path, SUITE)
    for run in SUITE.runs():
        if run.seed != 1:
            folder.arrays_path(run.key).unlink()
    written = write_plots(make_report(SUITE, folder), SUITE, folder, tmp_path)
    assert {path.stem for path in written} == {*PLOTS} - {"episodes"}  # of seed 0


def test_learners_that_tell_nothing_of_their_training(tmp_path):
    folder = ResultsFolder(tmp_path)
    curves = {PAPER: ((10.0, 1.0, 0.1, np.nan),), OTHER: ()}
    for run in SUITE.runs():
        if run.entry.name in curves:
            training = Training(10, 1.0, curves[run.entry.name])
            folder.append(rows.make_row(run, 0.7, training=training))
    written = write_plots(make_report(SUITE, folder), SUITE, folder, tmp_path)
    assert "learning_curves.png" in {path.name for path in written}


def test_entries_stand_from_the_best_to_the_worst(tmp_path):
    report = make_report(SUITE, fill(tmp_path, SUITE, spread))
    styles = choose_styles(SUITE.entries)
    names = [f"{ORACLE} (bound)", f"{PAPER} (learner)", f"{OTHER} (learner)", f"{RANDOM} (rule)"]
    axes = accuracy_per_look(report.settings[0], styles).axes
    assert [label.get_text() for label in axes[1].get_yticklabels()] == names
    assert axes[1].yaxis_inverted()
    drawn = {tuple(np.round(line.get_ydata(), 6)) for line in axes[0].lines}
    assert drawn == {(0.4, 0.65, 0.9), (0.4, 0.55, 0.7), (0.4, 0.5, 0.6), (0.4, 0.45, 0.5)}
    axes = gap(report, report.settings[0].lines, "digits", styles).axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == names


def test_scores_are_bars_of_learners_on_each_setting_and_over_all(tmp_path):
    suite = make_suite(settings=("one", "two"))
    (axes,) = scores_of(tmp_path, suite).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two", "all"]
    names = [text for text in axes.texts if text.get_text() in (PAPER, OTHER, RANDOM)]
    assert [text.get_text() for text in names] == [PAPER, OTHER]
    heights = [text.get_position()[1] for text in names]
    assert heights == sorted(heights, reverse=True)
    styles = choose_styles(suite.entries)
    for name, height in ((PAPER, 0.5), (OTHER, 0.25)):
        bars = [
            each for each in axes.patches if to_hex(each.get_facecolor()) == styles[name].colour
        ]
        assert [bar.get_height() for bar in bars] == pytest.approx([height] * 3)


def test_scores_of_rules_where_nothing_learns(tmp_path):
    suite = make_suite(settings=("one", "two"), entries=SUITE.entries[:2], reference=RANDOM)
    (axes,) = scores_of(tmp_path, suite).axes
    assert RANDOM in {text.get_text() for text in axes.texts}
    assert scores_of(tmp_path, SUITE) is None  # one setting has nothing to be over


def scores_of(path, suite):
    return scores(make_report(suite, fill(path, suite, spread)), choose_styles(suite.entries))


def test_entries_may_look_less_often(tmp_path):
    folder = fill(tmp_path, SUITE, spread)
    for run in SUITE.runs():
        if run.entry.name == OTHER:
            metrics = Metrics((0.4, 0.6), 0.2)
            written = folder.write_arrays(run.key, rows.make_arrays(*metrics.accuracy))
            changes = {"deterministic": metrics, "sampled": metrics, "arrays": written}
            folder.append(rows.make_row(run, 0.6, **changes))
    report = make_report(SUITE, folder)
    axes = accuracy_per_look(report.settings[0], choose_styles(SUITE.entries)).axes
    assert {len(line.get_xdata()) for line in axes[0].lines} == {2, 3}
    maps = heat_maps(SUITE.settings[0], [PAPER, OTHER], collect(SUITE, folder))
    drawn = [axes.axison for axes in maps.axes]
    assert drawn == [True, True, True, False]


def test_stopping_is_drawn_beside_other_ways_to_stop(tmp_path):
    suite = stopping_suite()
    folder = fill_stopping(tmp_path, suite, lambda seed: seed / 100)
    report = make_report(suite, folder)
    figure = stopping(SETTING, report.settings[0], collect(suite, folder))
    left, right = figure.subfigs[0].axes
    assert [text.get_text() for text in left.texts] == ["0.1", "0.01", "0.001"]
    # at the dearest of the prices fixed looks are as good, and seeds are .02 better in the mean
    assert min(line.get_ydata()[-1] for line in right.lines[1:]) == pytest.approx(2)
    legend = [text.get_text() for text in figure.subfigs[0].legends[0].get_texts()]
    assert len(legend) == 4 and "fixed looks" in legend[-1]
    written = write_plots(report, suite, folder, tmp_path / "plots")
    assert [path.name for path in written][-2:] == ["stopping.png", "episodes.png"]
    assert (
        stopping(
            SETTING,
            make_report(suite, ResultsFolder(tmp_path / "none")).settings[0],
            collect(suite, ResultsFolder(tmp_path / "none")),
        )
        is None
    )


def test_looks_that_were_not_taken_are_on_no_map(tmp_path):
    suite = stopping_suite(seeds=(0,))
    found = collect(suite, fill_stopping(tmp_path, suite))
    maps = heat_maps(SETTING, ["price 0.1"], found)
    # a tenth of the images took one look after the glance, and none took two
    drawn = [axes.images[0].get_array().sum() for axes in maps.axes]
    assert drawn == [rows.IMAGES / 10, 0]


def test_no_panel_has_more_lines_than_can_be_told_apart(tmp_path):
    names = [f"learner {number}" for number in range(22)]
    entries = tuple(
        Entry(name, learner="reinforce", settings={"updates": n + 1})
        for n, name in enumerate(names)
    )
    suite = make_suite(entries=(*SUITE.entries, *entries))
    report = make_report(suite, fill(tmp_path, suite, spread))
    styles = choose_styles(suite.entries)
    setting, always = report.settings[0], (RANDOM, ORACLE, PAPER)
    left, right = accuracy_per_look(setting, styles, always).axes
    assert len(left.lines) == MOST_LINES
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in left.lines}
    assert len(looks) == MOST_LINES
    for name in always:
        assert styles[name].colour in {line.get_color() for line in left.lines}
    assert len(right.get_yticks()) == len(setting.lines) > MOST_LINES
    found = collect(suite, fill(tmp_path, suite, spread))
    panels = learning_curves(suite.settings[0], names, found, styles).axes
    assert len(panels) == 3 * 4
    assert {len(panel.lines) for panel in panels} == {MOST_LINES, 2}


def test_learners_have_colours_and_the_rest_is_grey():
    entries = [Entry(str(n), learner="reinforce", settings={"updates": n + 1}) for n in range(20)]
    entries += [Entry(name, policy=name) for name in ("random", "centre", "greedy-oracle")]
    styles = choose_styles(entries)
    assert len({(each.colour, each.marker) for each in styles.values()}) == 23
    assert len({(each.colour, each.dashes) for each in styles.values()}) == 23
    for name, style in styles.items():
        red, green, blue = (style.colour[place : place + 2] for place in (1, 3, 5))
        assert (red == green == blue) == (not name.isdigit())


def test_centres_by_hand():
    # 96 pixels in 24 bins of 4; a patch of 24 at the top left has its centre at 12
    locations = np.array([[0, 0], [0, 0], [1, 1], [0.5, 0]], np.float32)
    counts = centre_counts(locations, 96, 24)
    assert counts.shape == (24, 24)
    assert counts[3, 3] == 2
    assert counts[21, 21] == counts[12, 3] == 1  # at 84, and at 48 and 12
    assert counts.sum() == 4


@pytest.mark.parametrize("sizes", [(96, 24), (224, 96), (16, 7), (30, 30)])
def test_all_places_are_counted(sizes):
    locations = np.random.default_rng(0).random((500, 2), np.float32)
    locations[:2] = [[0, 0], [1, 1]]
    counts = centre_counts(locations, *sizes)
    assert counts.sum() == 500 and len(counts) <= 24


def test_curves_on_common_ground_by_hand():
    first = np.array([[0.0, 0.0], [10.0, 1.0], [20.0, 1.0]])
    second = np.array([[5.0, 0.0], [15.0, 1.0]])
    curve = common_curve([first, second])
    np.testing.assert_allclose(curve.x, [5, 10, 15])
    np.testing.assert_allclose(curve.low, [0, 0.5, 1])
    np.testing.assert_allclose(curve.high, [0.5, 1, 1])
    np.testing.assert_allclose(curve.middle, [0.25, 0.75, 1])


def test_curves_are_never_extrapolated():
    early, late = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[2.0, 0.0], [3.0, 1.0]])
    assert common_curve([early, late]) is None
    assert common_curve([]) is None
    nan = np.full((3, 2), np.nan)
    assert common_curve([nan]) is None
    np.testing.assert_allclose(common_curve([nan, late]).x, [2, 3])
