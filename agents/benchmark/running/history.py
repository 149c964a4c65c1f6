"""How a training goes: a line now and then while it lasts, and a learning curve in the end."""

from collections.abc import Callable

import numpy as np

from agents.benchmark.results import Training
from agents.learners.base import Update

OnProgress = Callable[[str], None]
"""Is called with a line on how far a run is."""

CURVE_POINTS = 100
"""Points of a learning curve at most."""

_CURVE_METRICS = ("charts/episodic_return", "charts/accuracy")
_SECONDS_BETWEEN_LINES = 1


class TrainingHistory:
    """Is called with each update of a training, and keeps what a curve is made of.

    Args:
        on_progress: gets a line a second at most.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self._last_line = on_progress, 0.0
        self._steps = 0
        self._points: list[tuple[float, ...]] = []

    def __call__(self, update: Update) -> None:
        """Keep an update's metrics."""
        self._steps = update.steps
        line = f"{update.steps:,} steps in {update.seconds:.0f} s"
        metrics = [update.metrics[name] for name in _CURVE_METRICS if name in update.metrics]
        if len(metrics) == len(_CURVE_METRICS):  # what learns without episodes has no curve
            self._points.append((update.steps, update.seconds, *metrics))
            line += ", return {:.3f}, accuracy {:.3f}".format(*metrics)
        if update.seconds - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = update.seconds
            self._on_progress(line)

    def training(self, seconds: float) -> Training:
        """Return what happened in so many seconds, its curve in `CURVE_POINTS` points at most."""
        if not self._points:
            return Training(self._steps, seconds, ())
        points = np.array(self._points, np.float64)
        parts = np.array_split(points, min(CURVE_POINTS, len(points)))
        curve = [(*part[-1, :2].tolist(), *part[:, 2:].mean(0).tolist()) for part in parts]
        return Training(self._steps, seconds, tuple(curve))
