import subprocess
import sys

import pytest

from agents import PatchProposalConfig
from gf_env.network.families import BACKBONES, FAMILIES, family_of
from tests.helpers.tiny import tiny_config


def test_every_network_of_the_paper_has_one_family():
    members = [backbone for family in FAMILIES for backbone in family.members]
    assert list(BACKBONES.values()) == members
    names = [name for each in members for name in {each.name, each.timm_name}]
    assert len(names) == len(set(names)) == 14
    for family in FAMILIES:
        for each in family.members:
            assert family_of(each.name) is family_of(each.timm_name) is family


@pytest.mark.parametrize("encoder", ["small-cnn", "resnet18", "regnety_032", ""])
def test_other_networks_have_none(encoder):
    assert family_of(encoder) is None


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_values_are_those_that_configurations_know(family):
    tiny_config(
        glance_interpolation=family.glance_interpolation,
        classifier=family.classifier,
        first_step=family.first_step,
    )
    PatchProposalConfig((1, 1, 1), family.state_encoder, family.policy_hidden_size)


def test_families_need_neither_torch_nor_timm():
    code = (
        "import sys, gf_env.network.families; "
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
