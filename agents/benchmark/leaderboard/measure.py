"""Makes rows by evaluating policies on the test split, and checks rows in the same way."""

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

from agents.benchmark.leaderboard.rows import (
    Entry,
    LeaderboardError,
    Row,
    keep_policy,
    open_name,
    settings_for,
)
from agents.benchmark.running.one_run import task_identity
from agents.benchmark.suite import Setting
from agents.registry.policies import make_policy
from agents.reporting.provenance import machine, versions
from gf_env.envs.make_task import TaskArguments
from gf_env.evaluation import Evaluation, evaluate

TOLERANCE = 0.002
"""By how much figures may differ: four images of 2,000, as another processor may round them."""

OnProgress = Callable[[str], None]


def measure(
    folder: Path,
    policy: str,
    task: str,
    seed: int,
    *,
    stem: str,
    images: int,
    trust_sb3: bool = False,
) -> Row:
    """Evaluate a policy and return its row; its file is copied to the folder of rows.

    Args:
        folder: of the rows.
        policy: see `agents.registry.policies.make_policy`.
        task: name of a built-in data set.
        seed: of its training, or of a rule's draws.
        stem: what its file is called in the folder.
        images: of the test split, the first so many.
        trust_sb3: see `agents.registry.files.load_policy`.

    Raises:
        ValueError: a policy that does not exist, does not fit the task, or is too large.
        TensorFileError: a damaged file, or one that holds something else.
    """
    setting = _setting(task, images)
    settings = dict(settings_for(policy, setting.played_with.grid_size))
    found = _evaluate(policy, setting, seed, settings, trust_sb3=trust_sb3)
    name, digest = keep_policy(folder, policy, stem)
    now = datetime.datetime.now(datetime.timezone.utc)
    return Row(
        task=setting.played_with.dataset,
        seed=seed,
        policy=name,
        settings=settings,
        digest=digest,
        images=images,
        accuracy=tuple(found.accuracy.tolist()),
        mean_return=found.mean_return,
        identity=task_identity(setting),
        made={
            "at": now.isoformat(timespec="seconds"),
            **{name: versions()[name] for name in ("gf-env", "torch", "numpy")},
            "cpu": machine("cpu")["cpu"],
        },
    )


def faults(
    folder: Path,
    entry: Entry,
    *,
    trust_sb3: bool = False,
    on_progress: OnProgress = lambda line: None,
) -> Iterator[str]:
    """Evaluate the policies of an entry again; yield what is wrong with its rows, a sentence each.

    Args:
        folder: of the rows.
        entry: whose rows.
        trust_sb3: see `agents.registry.files.load_policy`.
        on_progress: is told what is evaluated.
    """
    for row in entry.rows:
        which = f"{entry.name} on {row.task}, seed {row.seed}"
        on_progress(which)
        try:
            for fault in _row_faults(folder, row, trust_sb3=trust_sb3):
                yield f"{which}: {fault}"
        except (LeaderboardError, OSError, TypeError, ValueError) as error:
            yield f"{which}: {error}"


def _row_faults(folder: Path, row: Row, *, trust_sb3: bool) -> Iterator[str]:
    setting = _setting(row.task, row.images)
    today = task_identity(setting)
    changed = [
        f"its {name} was {row.identity.get(name)} and is now {value}"
        for name, value in today.items()
        if row.identity.get(name) != value
    ]
    if changed:
        yield f"it is of another version of the task: {', '.join(changed)}"
        return
    name = open_name(folder, row)
    found = _evaluate(name, setting, row.seed, row.settings, trust_sb3=trust_sb3)
    accuracy = found.accuracy.tolist()
    if len(accuracy) != len(row.accuracy):
        yield f"its row has {len(row.accuracy)} looks and its policy takes {len(accuracy)}"
        return
    for look, (said, is_now) in enumerate(zip(row.accuracy, accuracy, strict=True), 1):
        if abs(said - is_now) > TOLERANCE:
            yield (
                f"its row says an accuracy of {said:.4f} after look {look}, its policy has "
                f"{is_now:.4f}"
            )
    if abs(row.mean_return - found.mean_return) > TOLERANCE:
        yield (
            f"its row says a mean return of {row.mean_return:.4f}, its policy has "
            f"{found.mean_return:.4f}"
        )


def _setting(task: str, images: int) -> Setting:
    return Setting(task, dataset=task, num_images=images)


def _evaluate(
    policy: str, setting: Setting, seed: int, settings: dict[str, object], *, trust_sb3: bool
) -> Evaluation:
    network = setting.open_network()
    made = make_policy(policy, network=network, seed=seed, settings=settings, trust_sb3=trust_sb3)
    arguments: TaskArguments = {**setting.task_arguments(setting.split), "network": network}
    return evaluate(made, num_images=setting.num_images, **arguments)
