import json

import numpy as np
import pytest

from agents.reporting import comparison, plots
from gf_env.envs.make_task import make_task
from gf_env.evaluation import Evaluation


def evaluation(right, indices=None, looks=3):
    """Ten images, three looks, of which `right` tell the share of right images after each."""
    correct = np.arange(10)[:, None] < 10 * np.array(right)
    return Evaluation(
        confidence=correct.astype(np.float32),
        max_probability=np.ones((10, 3), np.float32),
        correct=correct,
        locations=np.full((10, 2, 2), 0.5, np.float32),
        labels=np.zeros(10, np.int64),
        indices=np.arange(10) if indices is None else indices,
        looks=np.full(10, looks),
        stopped=np.full(10, looks < 3),
        gains=np.full(10, right[-1] - right[0], np.float32),
        returns=np.full(10, right[-1] - right[0], np.float32),
        multiply_adds=np.array([1, 2, 3]),
        spent=np.full(10, looks),
    )


@pytest.fixture
def evaluations():
    shares = {"random": (0.4, 0.5, 0.6), "mine": (0.4, 0.7, 0.8), "oracle": (0.4, 0.9, 1.0)}
    return {name: evaluation(right) for name, right in shares.items()}


def compare(evaluations):
    return comparison.compare(evaluations, random="random", oracle="oracle")


def test_share_of_the_gap_by_hand(evaluations):
    rows = compare(evaluations)
    assert [row.gap_closed for row in rows] == pytest.approx([0.0, 0.5, 1.0])
    assert rows[1].accuracy == pytest.approx((0.4, 0.7, 0.8))
    assert rows[1].mean_return == pytest.approx(0.4)


def test_only_the_same_images_are_compared(evaluations):
    evaluations["mine"] = evaluation((0.4, 0.7, 0.8), indices=np.arange(10, 20))
    with pytest.raises(ValueError, match="'mine' was evaluated on other images"):
        compare(evaluations)


def test_a_gap_of_nothing_is_said_so(evaluations):
    evaluations["oracle"] = evaluations["random"]
    rows = compare(evaluations)
    assert all(row.gap_closed is None for row in rows)
    assert comparison.table(rows, "title").row_count == 3


def test_what_is_spent_is_shown_where_a_policy_stops(evaluations):
    assert len(comparison.table(compare(evaluations), "title").columns) == 6
    evaluations["mine"] = evaluation((0.4, 0.7, 0.7), looks=2)
    rows = compare(evaluations)
    assert [(row.mean_looks, row.mean_multiply_adds) for row in rows] == [(3, 3), (2, 2), (3, 3)]
    *_, looks, spent = comparison.table(rows, "title").columns
    assert list(looks.cells) == ["3.00", "2.00", "3.00"]
    assert spent.header == "multiply-adds"


def test_results_and_figures_are_written(evaluations, tmp_path):
    rows = compare(evaluations)
    comparison.write_results(tmp_path / "out" / "results.json", {"task": "toy", "policies": rows})
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["task"] == "toy"
    assert [row["name"] for row in written["policies"]] == list(evaluations)
    assert comparison.table(rows, "title").row_count == 3
    plots.plot_accuracy(tmp_path / "accuracy.png", rows, "title")
    task = make_task(split="validation", sequence_length=3)
    evaluations["mine"] = evaluation((0.4, 0.7, 0.7), looks=2)
    plots.draw_episodes(tmp_path / "episodes.png", task, evaluations, images=2)
    for name in ("accuracy.png", "episodes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
