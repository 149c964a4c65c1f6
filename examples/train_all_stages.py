"""Train GFNet in all its stages on a folder of PNG files: the cluttered digits, written as images.

That takes about 20 minutes on two cores; fewer `--images` and `--epochs` take less.

Your own folder of <split>/<class>/<image> takes the place of `write_images`. `--encoder
mobilenetv3_large_100 --image-size 288 --patch-size 96` asks for one of the paper's backbones. Only
short runs were tried, which show that all stages run, not how well they learn: 5,000 images and 6
epochs were too few for the full-resolution classifier to learn anything.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console

from agents.stages.config import DataConfig, Given
from agents.stages.folders import claim_folder
from agents.stages.network_report import write_network_metrics
from agents.stages.presets import preset
from agents.stages.run import TrainingRun
from gf_env import load_dataset
from gf_env.datasets.batches import Loading
from gf_env.network.families import family_of
from gf_env.training.loop import training_progress

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=20_000, help="to learn from")
parser.add_argument("--encoder", default="small-cnn")
parser.add_argument("--image-size", type=int, default=96)
parser.add_argument("--patch-size", type=int, default=24)
parser.add_argument("--epochs", type=int, default=8, help="of each phase")
parser.add_argument("--output", type=Path, default=Path("runs/all_stages"))
arguments = parser.parse_args()


def write_images(root: Path, split: str, count: int, source: str) -> None:
    """Write scenes of the built-in task as root/split/class/number.png."""
    scenes = load_dataset("cluttered-digits", source, size=count)
    for start in range(0, count, 1000):
        indices = np.arange(start, min(start + 1000, count))
        for number, pixels in zip(indices, scenes.images(indices), strict=True):
            folder = root / split / scenes.spec.classes[scenes.labels[number]]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[0].numpy()).save(folder / f"{number}.png")


images = arguments.output / "images"
held_out = min(2000, max(100, arguments.images // 10))
write_images(images, "pretrain", arguments.images, "pretrain")  # for the network
write_images(images, "train", arguments.images, "train")  # for the policy
write_images(images, "validation", held_out, "validation")
write_images(images, "test", held_out, "test")

family = family_of(arguments.encoder)
start = preset("cluttered-digits" if family is None else family.name.lower()).config
# the family's network, trained from nothing with the schedules of the built-in task
builtin = preset("cluttered-digits").config.recipe
schedules = {
    phase: dataclasses.replace(getattr(builtin, phase), epochs=arguments.epochs)
    for phase in ("full_resolution", "low_resolution", "stage1", "stage3")
}
config = dataclasses.replace(
    start,
    # random crops would cut the digit off, and mirrored digits are none
    data=DataConfig(dataset=str(images), augment=False),
    recipe=dataclasses.replace(
        start.recipe,
        encoder=arguments.encoder,
        image_size=arguments.image_size,
        crop_fraction=1.0,  # the digit may be at the very border
        patch_size=arguments.patch_size,
        **schedules,
    ),
    stage2=dataclasses.replace(start.stage2, epochs=2 * arguments.epochs),
    given=Given(),
)
console = Console()
console.print(
    f"{arguments.images:,} images, {arguments.epochs} epochs of each phase. With 20,000 images and "
    "8 epochs of the small network all stages took about 20 minutes on two cores."
)
claim_folder(arguments.output, config, resume=True)
with training_progress(console) as progress:
    loading = Loading(torch.device("cpu"), workers=1)
    run = TrainingRun(config, arguments.output, loading=loading, progress=progress)
    run.run()
write_network_metrics(run, console)
