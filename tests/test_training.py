import numpy as np
import pytest
import torch
from conftest import ArrayDataset

from gf_env.datasets import ImageSpec
from gf_env.image_classifier import (
    ImageClassifier,
    ImageClassifierConfig,
    load_image_classifier,
)
from gf_env.tensor_files import TensorFileError
from gf_env.training.optimise import OptimiserConfig, _rate, optimise
from gf_env.training.recipe import Recipe, train_network, training_progress


def stripes(count=192):
    """Three classes that a glance can tell apart: rows, columns, or neither."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = rng.integers(0, 80, (count, 1, 16, 16))
    images[labels == 0, :, ::4] += 150
    images[labels == 1, :, :, ::4] += 150
    spec = ImageSpec(16, 1, ("rows", "columns", "neither"), (0.3,), (0.25,))
    return ArrayDataset(images.astype(np.uint8), labels, spec)


QUICK = OptimiserConfig(epochs=4, learning_rate=0.05, batch_size=16)
RECIPE = Recipe(
    patch_size=8, hidden_size=16, full_resolution=QUICK, low_resolution=QUICK, stage1=QUICK
)


@pytest.fixture(scope="module")
def trained():
    with training_progress() as progress:
        return train_network(RECIPE, stripes(), device=torch.device("cpu"), progress=progress)


def accuracy(logits):
    return (logits.argmax(1).numpy() == stripes().labels).mean()


def test_a_network_from_nothing_learns(trained):
    images = stripes().images(np.arange(192))
    assert accuracy(trained.full_resolution(images)) > 0.9
    glimpse = trained.network.glance(images)
    looked = trained.network.focus(images, torch.full((192, 2), 0.5), glimpse.hidden)
    assert accuracy(looked.logits) > 0.9
    assert not trained.network.training
    assert not any(parameter.requires_grad for parameter in trained.network.parameters())


def test_same_seed_same_network(trained):
    with training_progress() as progress:
        again = train_network(RECIPE, stripes(), device=torch.device("cpu"), progress=progress)
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_rate_rises_then_falls_along_a_cosine():
    assert [_rate(done, 0.2) for done in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx(
        [0.0, 0.5, 1.0, 0.5, 0.0]
    )


def test_every_image_once_an_epoch():
    weight, seen = torch.nn.Parameter(torch.zeros(())), []

    def loss(indices):
        seen.append(indices.tolist())
        return weight.square()

    config = OptimiserConfig(epochs=2, learning_rate=0.1, batch_size=4)
    with training_progress() as progress:
        optimise(
            [{"params": [weight], "lr": 0.1}],
            loss,
            10,
            config,
            generator=torch.Generator().manual_seed(0),
            progress=progress,
            description="",
        )
    assert [len(batch) for batch in seen] == [4, 4, 4, 4]
    assert len({*seen[0], *seen[1]}) == 8


def test_a_diverging_loss_stops_with_advice():
    weight = torch.nn.Parameter(torch.ones(()))
    with training_progress() as progress, pytest.raises(FloatingPointError, match="lower learning"):
        optimise(
            [{"params": [weight], "lr": 1.0}],
            lambda _: weight * float("inf"),
            4,
            QUICK,
            generator=torch.Generator(),
            progress=progress,
            description="stage",
        )


@pytest.mark.parametrize("field", ["epochs", "learning_rate", "batch_size"])
def test_impossible_schedules(field):
    with pytest.raises(ValueError, match=field):
        OptimiserConfig(**{"epochs": 1, "learning_rate": 0.1, field: 0})


def test_image_classifier_saves_and_loads(trained, tmp_path):
    path = tmp_path / "classifier.safetensors"
    trained.full_resolution.save(path)
    loaded = load_image_classifier(path)
    images = stripes().images(np.arange(8))
    assert torch.equal(loaded(images), trained.full_resolution(images))
    trained.network.save(path)
    with pytest.raises(TensorFileError, match=r"ImageClassifier.*found 'gf_env\.GlanceFocusNet"):
        load_image_classifier(path)


def test_image_classifier_resizes():
    spec = stripes().spec
    config = ImageClassifierConfig("small-cnn", 8, "area", spec)
    classifier = ImageClassifier(config).eval()
    images = stripes().images(np.arange(4))
    blocks = images.float().view(4, 1, 8, 2, 8, 2).mean(dim=(3, 5))
    normalised = (blocks / 255 - 0.3) / 0.25
    expected = classifier.encoder.own_logits(classifier.encoder(normalised).pooled)
    assert torch.allclose(classifier(images), expected, atol=1e-5)
