"""Checkpoints of the layout that the paper's release has, made here with random weights.

The names and settings below are those of its files, put down apart from the code that reads them.
"""

import functools

import numpy as np
import pytest
import torch

from agents.policies.paper import PaperPolicy, PatchProposalConfig, PatchProposalNetwork
from gf_env.network import families
from gf_env.network.config import NetworkConfig
from gf_env.network.glance_focus_net import GlanceFocusNet

RESNET = ("recurrent", "classifier", "bicubic", "flat")
DENSENET = ("recurrent", "classifier", "bilinear", "flat")
REGNET = ("recurrent", "own_head_at_inference", "bilinear", "conv")
CASCADED = ("cascaded", "own_head", "bicubic", "conv")

# kind of network, channels of its map, image size, crop, interpolation of files
NETWORKS = {
    "resnet50": (RESNET, 2048, 224, 0.875, "bilinear"),
    "densenet121": (DENSENET, 1024, 224, 0.875, "bilinear"),
    "densenet169": (DENSENET, 1664, 224, 0.875, "bilinear"),
    "densenet201": (DENSENET, 1920, 224, 0.875, "bilinear"),
    "regnety_600m": (REGNET, 608, 224, 0.875, "bilinear"),
    "regnety_800m": (REGNET, 768, 224, 0.875, "bilinear"),
    "regnety_1.6g": (REGNET, 888, 224, 0.875, "bilinear"),
    "mobilenetv3_large_100": (CASCADED, 960, 224, 0.875, "bilinear"),
    "mobilenetv3_large_125": (CASCADED, 1200, 224, 0.875, "bilinear"),
    "efficientnet_b2": (CASCADED, 1408, 260, 0.875, "bicubic"),
    "efficientnet_b3": (CASCADED, 1536, 300, 0.904, "bicubic"),
}
SMALL = "regnety_600m"
ONE_A_FAMILY = sorted(family.members[0].name for family in families.FAMILIES)

REGNET_NAMES = {
    ".downsample.conv.": ".proj.",
    ".downsample.bn.": ".bn.",
    ".conv1.conv.": ".f.a.",
    ".conv1.bn.": ".f.a_bn.",
    ".conv2.conv.": ".f.b.",
    ".conv2.bn.": ".f.b_bn.",
    ".conv3.conv.": ".f.c.",
    ".conv3.bn.": ".f.c_bn.",
    ".se.fc1.": ".f.se.f_ex.0.",
    ".se.fc2.": ".f.se.f_ex.2.",
    "head.fc.": "fc.",
}
"""Parts of names: ours and the release's."""


class Source:
    """A network and its policy, whose weights go into checkpoints.

    Every weight and statistic is random, so that none can be mistaken for another.
    """

    def __init__(self, name, num_classes=5, hidden_size=1024, patch_size=96):
        kind, channels, size, crop, interpolation = NETWORKS[name]
        classifier, first_step, glance_interpolation, self.state_encoder = kind
        config = NetworkConfig(
            encoder=name,
            image_size=size,
            patch_size=patch_size,
            channels=3,
            classes=tuple(map(str, range(num_classes))),
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            sequence_length=5,
            glance_interpolation=glance_interpolation,
            classifier=classifier,
            first_step=first_step,
            crop_fraction=crop,
            resize_interpolation=interpolation,
            **({"hidden_size": hidden_size} if classifier == "recurrent" else {}),
        )
        side = patch_size // 32
        policy_size = 1024 if self.state_encoder == "flat" else 256
        policy = PatchProposalConfig((channels, side, side), self.state_encoder, policy_size)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = GlanceFocusNet(config).eval().requires_grad_(False)
            self.policy = PaperPolicy(PatchProposalNetwork(policy))
            for encoder in (self.network.global_encoder, self.network.local_encoder):
                for value in encoder.state_dict().values():
                    if value.ndim == 1:  # as they come, all are zeros or ones
                        value.add_(torch.randn_like(value), alpha=0.02)
                    elif value.ndim == 0:  # batches seen
                        value.fill_(7)

    @functools.cached_property
    def rollout(self):
        return rollout(self.network, self.policy)

    def released(self, prefix="module."):
        """The content of a released checkpoint."""
        network = self.network
        prime, local = (
            {prefix + self._encoder_name(key): value for key, value in part.state_dict().items()}
            for part in (network.global_encoder, network.local_encoder)
        )
        classifier, policy = network.classifier.state_dict(), self.policy.network.state_dict()
        return {
            "model_name": network.config.encoder,
            "patch_size": network.config.patch_size,
            "model_prime_state_dict": prime,
            "model_state_dict": local,
            "fc": {_classifier_name(key): value for key, value in classifier.items()},
            "policy": {self._policy_name(key): value for key, value in policy.items()},
            "model_flops": 1.5e9,
            "policy_flops": 2.5e6,
            "fc_flops": 1e6,
            "flops": [0.8e9, 1.6e9, 2.4e9, 3.2e9, 4.0e9],
            "anytime_classification": [70.0, 72.0, 74.0, 75.0, 76.0],
            "dynamic_threshold": torch.rand(39, 5),
            "budgeted_batch_classification": [[1.0, 2.0]] * 39,
        }

    def trained(self):
        """The content of a checkpoint of the official training."""
        parts = ("model_prime_state_dict", "model_state_dict", "fc", "policy")
        released = self.released(prefix="")
        weight = torch.nn.Parameter(torch.ones(3))
        sgd = torch.optim.SGD([weight], 0.1, momentum=0.9, nesterov=True)
        adam = torch.optim.Adam([weight], 3e-4)
        weight.grad = torch.ones(3)
        sgd.step()
        adam.step()
        return {
            "epoch": 59,
            **{part: released[part] for part in parts},
            "acc": np.float64(75.9),
            "best_acc": np.array([74.5, 75.9]),
            "optimizer": sgd.state_dict(),
            "ppo_optimizer": adam.state_dict(),
        }

    def _encoder_name(self, key):
        key = key.removeprefix("model.")
        if self.network.config.encoder.startswith("regnety"):
            for ours, theirs in REGNET_NAMES.items():
                key = key.replace(ours, theirs)
        return key

    def _policy_name(self, key):
        module, *middle, last = key.split(".")
        if module == "gru":
            return key + "_l0"
        if module == "state_encoder":
            return f"state_encoder.{int(middle[0]) - (self.state_encoder == 'flat')}.{last}"
        return f"{module}.0.{last}"


def _classifier_name(key):
    return key + "_l0" if key.startswith("rnn.") else key.replace("heads.", "fc_")


def write(path, content, *, legacy=True):
    """Save as the release did: from a GPU, by default in torch 1.3's container."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:1")
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def rollout(network, policy):
    """Logits (T, 1, classes) and actions (T - 1, 1, 2) on one image."""
    config = network.config
    generator = torch.Generator().manual_seed(3)
    shape = (1, 3, config.image_size, config.image_size)
    images = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    glimpse = network.glance(images)
    logits, actions, state = [glimpse.logits], [], None
    for _ in range(config.sequence_length - 1):
        seen = {"features": glimpse.features.numpy()}
        action, state = policy.predict(seen, state, np.array([state is None]), deterministic=True)
        locations = (torch.from_numpy(action) + 1) / 2
        glimpse = network.focus(images, locations, glimpse.hidden)
        logits.append(glimpse.logits)
        actions.append(action)
    return torch.stack(logits), np.stack(actions)
