"""How long an image takes: GFNet at points of its curves and plain networks, in turns."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from pydantic import NonNegativeInt, PositiveInt

from agents.curves.measure import PLAIN, Point
from agents.reporting.latency import interleaved_latency
from gf_env.configuration import configuration
from gf_env.inference.adaptive import AdaptiveClassifier
from gf_env.network.image_classifier import ImageClassifier


@configuration
class TimingConfig:
    """How time is measured.

    Attributes:
        batch_sizes: images at a time; all points are timed at the first, those that are compared
            at each.
        threads: likewise, of the CPU.
        images: so many of the test split in a turn, or all.
        repeats: turns of everything.
        warmup: turns before them that are not counted.
    """

    batch_sizes: tuple[PositiveInt, ...] = (64, 1)
    threads: tuple[PositiveInt, ...] = (2, 1)
    images: PositiveInt = 512
    repeats: PositiveInt = 7
    warmup: NonNegativeInt = 2

    def __post_init__(self) -> None:
        """Refuse to measure nothing."""
        if not self.batch_sizes or not self.threads:
            raise ValueError("batch_sizes and threads need one value or more")


def seconds_per_image(
    classifier: AdaptiveClassifier,
    plain: Mapping[int, ImageClassifier],
    points: Sequence[Point],
    images: torch.Tensor,
    config: TimingConfig,
    *,
    batch_size: int,
    threads: int,
) -> list[float]:
    """Return the median time of an image at each point, all points taking turns.

    Args:
        classifier: GFNet.
        plain: classifiers of whole images by their input size, in eval mode.
        points: what is timed.
        images: (n, C, S, S) uint8, on the device of both.
        config: see `TimingConfig`.
        batch_size: images at a time.
        threads: of the CPU.
    """
    runs = {
        str(number): functools.partial(_work(classifier, plain, point, batch_size), images)
        for number, point in enumerate(points)
    }
    with _threads(threads):
        times = interleaved_latency(
            runs, warmup=config.warmup, repeats=config.repeats, device=images.device
        )
    return [times[number].median / len(images) for number in runs]


def _work(
    classifier: AdaptiveClassifier,
    plain: Mapping[int, ImageClassifier],
    point: Point,
    batch_size: int,
) -> Callable[[torch.Tensor], object]:
    """Return what classifies images as a point does."""
    if point.curve == PLAIN:
        return functools.partial(_in_batches, plain[int(point.setting)], batch_size)
    return functools.partial(
        classifier.classify, exit_thresholds=point.thresholds, batch_size=batch_size
    )


@torch.inference_mode()
def _in_batches(classifier: ImageClassifier, batch_size: int, images: torch.Tensor) -> None:
    for part in torch.split(images, batch_size):
        classifier(part)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
