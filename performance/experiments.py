"""The experiments: which contenders are compared in which settings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from performance import contenders as who
from performance.comparison import Effort, Experiment
from performance.settings import Workload


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Attributes:
        effort: for each comparison.
        num_envs: where that is not what is varied.
        counts: numbers of environments that are compared.
        image_sizes: pixels, for the small CNN and patches of a quarter.
        small_cnn_envs: for these.
        mobilenet_sizes: pixels, for MobileNetV3 and patches of 96.
        mobilenet_envs: for these.
        precision_envs: for precisions, on both networks.
        memory_counts: numbers of environments whose memory is measured; the first is 1.
        rounds: of fresh processes that are timed.
        processes: whose memory is measured, for each number.
        split: of the built-in task.
        num_images: of noise.
    """

    effort: Effort
    num_envs: int
    counts: tuple[int, ...]
    image_sizes: tuple[int, ...]
    small_cnn_envs: int
    mobilenet_sizes: tuple[int, ...]
    mobilenet_envs: int
    precision_envs: int
    memory_counts: tuple[int, ...]
    rounds: int
    processes: int
    split: str
    num_images: int


FULL = Scale(
    effort=Effort(seconds=15, rounds=11, fewest_rounds=5, bank_bytes=4e9),
    num_envs=256,
    counts=(1, 4, 16, 64, 256, 1024, 4096),
    image_sizes=(96, 128, 160, 192, 224),
    small_cnn_envs=128,
    mobilenet_sizes=(128, 160, 192, 224),
    mobilenet_envs=32,
    precision_envs=256,
    memory_counts=(1, 16, 256, 1024, 4096),
    rounds=5,
    processes=2,
    split="train",
    num_images=256,
)

QUICK = Scale(
    effort=Effort(seconds=0.1, rounds=2, fewest_rounds=1, bank_bytes=1e8),
    num_envs=4,
    counts=(1, 4),
    image_sizes=(96,),
    small_cnn_envs=2,
    mobilenet_sizes=(128,),
    mobilenet_envs=1,
    precision_envs=2,
    memory_counts=(1, 4),
    rounds=1,
    processes=1,
    split="validation",
    num_images=8,
)


def experiments(scale: Scale, device: str, *, compiled: bool) -> Iterator[Experiment]:
    """Yield what is compared, those of one name in a row.

    Args:
        scale: how large.
        device: where networks run.
        compiled: also with compiled encoders, which takes minutes.
    """

    def builtin(num_envs: int) -> Workload:
        return Workload(num_envs, split=scale.split, device=device)

    main = builtin(scale.num_envs)
    growing = (who.BARE_NETWORK, who.CORE, who.VECTOR_ENV, who.CORE_ON_BANK, who.VECTOR_ENV_ON_BANK)
    yield Experiment("built-in", main, (*growing, who.SB3_BRIDGE))
    yield Experiment("sync", main, (who.VECTOR_ENV, who.SYNC))
    workers = min(16, os.cpu_count() or 1)
    yield Experiment("async", builtin(workers), (who.VECTOR_ENV, who.SYNC, who.ASYNC))
    learners = (who.PAPER_UPDATE, who.PAPER_UPDATE_ON_BANK, who.SB3_UPDATE)
    yield Experiment("learners", main, (who.CORE, *learners))
    for contender in (who.VECTOR_ENV, who.PAPER_UPDATE):
        yield Experiment("endless", main, (contender, contender.endless()))
    for count in scale.counts:
        yield Experiment("num-envs", builtin(count), growing)
    for size in scale.image_sizes:
        yield Experiment("image-size", _small_cnn(scale, size, device), growing)
    for size in scale.mobilenet_sizes:
        setting = _mobilenet(scale, scale.mobilenet_envs, size, device)
        yield Experiment("mobilenet", setting, (who.BARE_NETWORK, who.CORE, who.VECTOR_ENV))
    yield from _precisions(scale, device, compiled=compiled)
    if device != "cpu":
        yield _resnet50(scale, device)


def _small_cnn(scale: Scale, size: int, device: str) -> Workload:
    return Workload(
        scale.small_cnn_envs,
        encoder="small-cnn",
        image_size=size,
        patch_size=size // 4,
        num_images=scale.num_images,
        device=device,
    )


def _mobilenet(scale: Scale, num_envs: int, size: int, device: str) -> Workload:
    return Workload(
        num_envs,
        encoder="mobilenetv3_large_100",
        image_size=size,
        patch_size=96,
        num_classes=1000,
        num_images=scale.num_images,
        device=device,
    )


def _precisions(scale: Scale, device: str, *, compiled: bool) -> Iterator[Experiment]:
    faster = [who.CORE.faster(precision="bfloat16")]
    if compiled:
        faster += [
            who.CORE.faster(precision=precision, compiled=True)
            for precision in ("float32", "bfloat16")
        ]
    count = scale.precision_envs
    builtin = Workload(count, split=scale.split, device=device)
    for setting in (builtin, _mobilenet(scale, count, scale.mobilenet_sizes[-1], device)):
        yield Experiment("precision", setting, (who.CORE, *faster))


def _resnet50(scale: Scale, device: str) -> Experiment:
    setting = Workload(
        4 * scale.num_envs,
        encoder="resnet50",
        image_size=224,
        patch_size=96,
        num_classes=1000,
        num_images=scale.num_images,
        precision="bfloat16",
        device=device,
    )
    return Experiment("resnet50", setting, (who.BARE_NETWORK, who.CORE, who.VECTOR_ENV))
