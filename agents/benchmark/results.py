"""What a run of a benchmark gave: its row, and what goes wrong with rows."""

from dataclasses import dataclass
from typing import Any

DONE, FAILED = "done", "failed"


class ResultsError(ValueError):
    """Results that a benchmark cannot be resumed from or reported on."""


@dataclass(frozen=True)
class Metrics:
    """What a policy did on the evaluated images, all numbers means over images.

    Attributes:
        accuracy: after each of T looks; of an episode that was stopped, after its last look.
        mean_return: of the episodes, by confidence gain less the looks' cost.
        mean_gain: the confidence gain alone; None, as the two below, in rows from before looks had
            a price, whose episodes were of full length.
        mean_looks: taken in an episode, the glance included.
        mean_multiply_adds: spent on an episode, with those of the policy where it says so.
    """

    accuracy: tuple[float, ...]
    mean_return: float
    mean_gain: float | None = None
    mean_looks: float | None = None
    mean_multiply_adds: float | None = None


Tradeoff = tuple[float, float, float]
"""A setting, the accuracy that it gives, and the mean multiply-adds of an image."""


@dataclass(frozen=True)
class Exits:
    """What a policy that never stops gives where images leave once the network is sure.

    They pay for the looks and choices until they leave, and not for a choice to stop.

    Attributes:
        budgeted: a point for each budget of the paper; see `gf_env.budgeted_curve`.
        confident: a point for each confidence, the same after all looks; see
            `gf_env.inference.budgets.confident_curve`.
    """

    budgeted: tuple[Tradeoff, ...]
    confident: tuple[Tradeoff, ...]


Curve = tuple[tuple[float, float, float, float], ...]
"""Steps and seconds of training, mean return and accuracy of each of its points."""


@dataclass(frozen=True)
class Training:
    """How a policy was trained.

    Attributes:
        steps: actions taken.
        seconds: of training, without what came before and after.
        curve: (steps, seconds, mean return, accuracy at the end) of training episodes, smoothed
            over the updates since the point before.
        validation: the same of validation images, with the likeliest actions; of the points where
            the learner was compared with itself, and so not smoothed. Empty without a rule of when
            to end.
        at_plateau: whether the curve of validation was flat at its end, by that rule; None without.
        on_training: metrics of the trained policy on as many images that it learned from as it was
            evaluated on, with the likeliest actions; None in rows from before they were kept.
    """

    steps: int
    seconds: float
    curve: Curve
    validation: Curve = ()
    at_plateau: bool | None = None
    on_training: Metrics | None = None


@dataclass(frozen=True)
class Result:
    """A run's row.

    Attributes:
        key: of the run; see `agents.benchmark.suite.Run.key`.
        policy: its name when it was run.
        setting: likewise.
        seed: of learning and sampling.
        kind: see `agents.benchmark.suite.Entry.kind`.
        status: `done` or `failed`.
        reason: why it failed.
        spec: all that it depends on; see `agents.benchmark.suite.Run.spec`.
        task: which images and which network, by digests.
        seconds: of the whole run.
        made: versions, git revision, machine, and when.
        deterministic: metrics with the likeliest actions.
        sampled: metrics with sampled actions.
        multiply_adds: after each of T looks, the policy's included where it says so, of an episode
            that is not stopped.
        budgeted_area: mean accuracy over mean costs from the glance's to that of all T looks, of
            images that leave once the network is sure, with the likeliest actions; None where the
            policy decides itself when to stop.
        exits: likewise; None too in rows from before they were kept.
        training: None for what has not learned here.
        arrays: SHA-256 of the file with its arrays; None in rows from before it was kept.
    """

    key: str
    policy: str
    setting: str
    seed: int
    kind: str
    status: str
    reason: str | None
    spec: dict[str, Any]
    task: dict[str, Any]
    seconds: float
    made: dict[str, Any]
    deterministic: Metrics | None = None
    sampled: Metrics | None = None
    multiply_adds: tuple[int, ...] = ()
    budgeted_area: float | None = None
    exits: Exits | None = None
    training: Training | None = None
    arrays: str | None = None

    def metrics(self, *, deterministic: bool = True) -> Metrics:
        """Return a finished run's metrics, with the likeliest actions or with sampled ones.

        Raises:
            ResultsError: it has none.
        """
        metrics = self.deterministic if deterministic else self.sampled
        if metrics is None:
            raise ResultsError(
                f"the row of {self.policy!r}, seed {self.seed}, says that it is done, but has no "
                "metrics; remove it and run it again"
            )
        return metrics
