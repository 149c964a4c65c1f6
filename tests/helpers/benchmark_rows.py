"""Results of a benchmark that nobody ran, for tests of what is said of results."""

import numpy as np

from agents.benchmark.results import DONE, FAILED, Exits, Metrics, Result, Training
from agents.benchmark.results_folder import ResultsFolder
from agents.benchmark.suite import Curves, Entry, Setting, Suite

MADE = {
    "at": "2030-01-02T03:04:05+00:00",
    "python": "3.11.7",
    "gf-env": "0.1.0",
    "torch": "2.9",
    "cpu": "a processor",
    "cores": 2,
    "load_before": 0.5,
}
IMAGES = 200
"""Enough for all accuracies here to be shares of them."""
RANDOM, ORACLE, PAPER, OTHER = "random", "greedy oracle", "paper's learner", "other learner"
PRICES = {0.1: (110, 0.5), 0.01: (200, 0.7), 0.001: (300, 0.8)}
"""What made-up policies that stop spend and reach, by the price of a look."""
LEVELS = {RANDOM: 0.5, ORACLE: 0.9, PAPER: 0.7, OTHER: 0.8}


def level(run) -> float:
    """An accuracy that is the same with every seed; what has another name is as good as random."""
    return LEVELS.get(run.entry.name, LEVELS[RANDOM])


def spread(run) -> float:
    """As `level`, but the other learner's seeds are .4, .5, .6, .7, .8, and random's .4 to .6."""
    if run.entry.name == OTHER:
        return 0.4 + run.seed / 10
    return 0.4 + run.seed / 20 if run.entry.name == RANDOM else level(run)


def without(name, setting=None):
    """As `level`, but there are no rows of an entry, or none on a setting."""

    def accuracy(run):
        absent = run.entry.name == name and setting in (None, run.setting.name)
        return None if absent else level(run)

    return accuracy


def make_suite(seeds=(0, 1, 2, 3, 4), settings=("digits",), **changes) -> Suite:
    """Both ends of the gap and two learners; settings differ in length."""
    values = {
        "name": "toy",
        "description": "Policies that were never run.",
        "seeds": seeds,
        "settings": [
            Setting(name, sequence_length=3, num_images=10 + number)
            for number, name in enumerate(settings)
        ],
        "entries": (
            Entry(RANDOM, policy="random"),
            Entry(ORACLE, policy="greedy-oracle", seeds=(0,)),
            Entry(PAPER, learner="paper-ppo"),
            Entry(OTHER, learner="reinforce"),
        ),
    }
    return Suite(**{**values, **changes})


def make_row(run, last, *, failed=None, **changes) -> Result:
    """A run's row: accuracy .4 after the glance, `last` at the end, halfway between them."""
    values = {
        "key": run.key,
        "policy": run.entry.name,
        "setting": run.setting.name,
        "seed": run.seed,
        "kind": run.entry.kind,
        "status": DONE if failed is None else FAILED,
        "reason": failed,
        "spec": run.spec,
        "task": {},
        "seconds": 30.0,
        "made": MADE,
    }
    if failed is None:
        values |= {
            "deterministic": Metrics((0.4, (0.4 + last) / 2, last), last - 0.4),
            "sampled": Metrics((0.4, 0.4, last - 0.1), last - 0.5),
            "multiply_adds": (100, 200, 300),
            "budgeted_area": last - 0.05,
        }
        if run.entry.kind == "learner":
            points = tuple((100.0 * n, 1.0 * n, 0.01 * n, 0.4 + 0.05 * n) for n in range(1, 11))
            values["training"] = Training(1000, 10.0 + run.seed, points)
    return Result(**{**values, **changes})


def make_arrays(*shares, images=IMAGES) -> dict[str, np.ndarray]:
    """A run's arrays: after each look the first so many of the images are right."""
    looks = len(shares)
    right = np.arange(images)[:, None] < np.round(images * np.array(shares))
    return {
        "correct": right,
        "confidence": right.astype(np.float32),
        "locations": np.full((images, looks - 1, 2), 0.5, np.float32),
        "labels": np.arange(images) % 10,
        "indices": np.arange(images),
    }


def fill(path, suite, accuracy=level) -> ResultsFolder:
    """Write rows and arrays of those runs that `accuracy(run)` is not None for."""
    folder = ResultsFolder(path)
    for run in suite.runs():
        last = accuracy(run)
        if last is not None:
            arrays = make_arrays(0.4, (0.4 + last) / 2, last)
            folder.append(make_row(run, last, arrays=folder.write_arrays(run.key, arrays)))
    return folder


def stopping_suite(seeds=(0, 1, 2, 3, 4), **changes) -> Suite:
    """The suite with a policy that stops for each of the prices, against the paper's learner."""
    stopping = [
        Entry(f"price {price}", learner="reinforce", task={"stop": True, "look_cost": price})
        for price in PRICES
    ]
    curves = Curves("stopping", tuple(entry.name for entry in stopping), PAPER)
    entries = (*make_suite().entries, *stopping)
    return make_suite(seeds=seeds, **{"entries": entries, "curves": (curves,), **changes})


def fill_stopping(path, suite, better=lambda seed: 0.0) -> ResultsFolder:
    """Write all rows and arrays; `better(seed)` is added to the accuracy of those that stop.

    All of the paper's learner are right in .4, .6 and .8 of the images after each look; exits by
    thresholds are 5 points above the straight lines between these.
    """
    folder = fill(path, suite, lambda run: None if run.entry.look_cost else level(run))
    for run in suite.runs():
        if run.entry.name == PAPER:
            metrics = Metrics((0.4, 0.6, 0.8), 0.4, 0.4, 3.0, 300.0)
            exits = Exits(
                budgeted=((0.5, 0.55, 150.0), (1.5, 0.75, 250.0)), confident=((0.9, 0.65, 200.0),)
            )
            written = folder.write_arrays(run.key, make_arrays(*metrics.accuracy))
            folder.append(make_row(run, 0.8, deterministic=metrics, exits=exits, arrays=written))
        if run.entry.look_cost:
            cost, accuracy = PRICES[run.entry.look_cost]
            last, looks = accuracy + better(run.seed), cost / 100
            gain = last - 0.4
            own = Metrics(
                (0.4, last, last), gain - run.entry.look_cost * (looks - 1), gain, looks, cost
            )
            changes = {"deterministic": own, "sampled": own, "budgeted_area": None}
            arrays = {**make_arrays(0.4, last, last), "looks": _looks(looks)}
            folder.append(
                make_row(run, last, **changes, arrays=folder.write_arrays(run.key, arrays))
            )
    return folder


def _looks(mean, images=IMAGES) -> np.ndarray:
    """How many looks each image took, one of two neighbouring numbers, with this mean."""
    low = int(mean)
    more = np.arange(images) < round((mean - low) * images)
    return (low + more).astype(np.int64)
