"""Trainings that take seconds, and what their files hold."""

import safetensors

PHASES = ("full-resolution", "low-resolution", "stage1", "stage3")


def content(path):
    """What a file says it holds, a checksum of all of it included."""
    with safetensors.safe_open(path, framework="pt") as file:
        return file.metadata()


def quick_arguments(images, *more, size=16, epochs=1, batch_size=8):
    """Arguments of `gf-env train` for a folder of images of that size, then `more`."""
    settings = ["--data.dataset", images, "--data.network-split", "train"]
    settings += ["--recipe.image-size", size, "--recipe.patch-size", size // 2]
    for phase in PHASES:
        settings += [f"--recipe.{phase}.epochs", epochs, f"--recipe.{phase}.batch-size", batch_size]
    settings += ["--stage2.epochs", 1, "--stage2.num-envs", 8, *more]
    return [str(each) for each in settings]
