import subprocess
import sys

import pytest

from agents.policies.paper import STATE_ENCODERS
from gf_env.network.config import CLASSIFIERS, FIRST_STEPS, INTERPOLATIONS
from gf_env.network.families import FAMILIES, MODEL_NAMES, PAPER_NAMES, family_of


def test_every_network_of_the_paper_has_one_family():
    assert sorted(MODEL_NAMES) == sorted(PAPER_NAMES)
    for model_name, timm_name in PAPER_NAMES.items():
        members = [
            family for family in FAMILIES if model_name in family.model_names + family.timm_names
        ]
        assert members == [family_of(model_name)] == [family_of(timm_name)]


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("resnet50", "ResNet"),
        ("densenet169", "DenseNet"),
        ("regnety_1.6g", "RegNet"),
        ("regnety_016", "RegNet"),
        ("mobilenetv3_large_125", "MobileNetV3"),
        ("efficientnet_b3", "EfficientNet"),
    ],
)
def test_family_of(encoder, name):
    assert family_of(encoder).name == name


@pytest.mark.parametrize("encoder", ["small-cnn", "resnet18", "regnety_032", ""])
def test_other_networks_have_none(encoder):
    assert family_of(encoder) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_values_are_those_that_configurations_know(family):
    assert family.glance_interpolation in INTERPOLATIONS
    assert family.classifier in CLASSIFIERS
    assert family.first_step in FIRST_STEPS
    assert family.state_encoder in STATE_ENCODERS


def test_families_need_neither_torch_nor_timm():
    code = (
        "import sys, gf_env.network.families; "
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
