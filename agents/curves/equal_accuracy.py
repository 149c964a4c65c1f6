"""What GFNet costs beside plain networks that are as often right.

At each of some accuracies GFNet leaves at the cheapest thresholds that reach it on held-out images.
On the images that count, its accuracy is then what it is, and its cost is divided by that of a
plain network there, interpolated between the sizes that were trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.curves.measure import PLAIN, Point

ACCURACIES = (0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.99, 0.995)


@dataclass(frozen=True)
class Comparison:
    """GFNet at one accuracy, beside plain networks.

    Attributes:
        wanted: the accuracy that was asked for.
        point: of GFNet.
        plain: multiply-adds of a plain network that is as often right.
        ratio: GFNet's multiply-adds divided by those.
    """

    wanted: float
    point: Point
    plain: float
    ratio: float


def compare_at(
    accuracies: Sequence[float], held_out: Sequence[Point], found: Sequence[Point], curve: str
) -> list[Comparison]:
    """Compare GFNet's cheapest points that reach some accuracies with plain networks.

    Args:
        accuracies: rising.
        held_out: GFNet's points on held-out images, by which thresholds are chosen.
        found: on the images that count, the same points and those of plain networks.
        curve: `anytime`, `budgeted` or `confident`.

    Returns:
        A comparison for each accuracy that GFNet reaches on the held-out images, if plain networks
        reach on those that count what it does there.
    """
    plain = [each for each in found if each.curve == PLAIN]
    by_setting = {each.setting: each for each in found if each.curve == curve}
    candidates = [each for each in held_out if each.curve == curve]
    made = []
    for wanted in accuracies:
        reaching = [each for each in candidates if each.accuracy >= wanted]
        if not reaching:
            continue
        cheapest = min(reaching, key=lambda each: each.multiply_adds)
        point = by_setting[cheapest.setting]
        cost = plain_cost(plain, {each.setting: each.multiply_adds for each in plain}, point)
        if cost is not None:
            made.append(Comparison(wanted, point, cost, point.multiply_adds / cost))
    return made


def plain_cost(plain: Sequence[Point], costs: Mapping[float, float], point: Point) -> float | None:
    """Return what a plain network costs that is as often right as a point of GFNet.

    Args:
        plain: the points of plain networks.
        costs: of each of them, by its input size, in whatever unit.
        point: of GFNet.

    Returns:
        The cost, interpolated by accuracy between plain networks, without those that cost more
        than another and are no better: below the others, that of the cheapest. None where no plain
        network is so often right, or so seldom.
    """
    reached = [each.accuracy for each in plain]
    if not min(reached) <= point.accuracy <= max(reached):
        return None
    accuracies, spent = _frontier([(costs[each.setting], each.accuracy) for each in plain])
    return float(np.interp(point.accuracy, accuracies, spent))


def _frontier(
    points: Sequence[tuple[float, float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracies, rising, and the least cost that reaches each, of (cost, accuracy)."""
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda each: (each[0], -each[1])):
        if not best or accuracy > best[-1][0]:
            best.append((accuracy, cost))
    accuracies, spent = np.array(best).T
    return accuracies, spent
