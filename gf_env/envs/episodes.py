"""The rules of an episode, batched and pure: `reset` and `step` on tensors, on any device.

An episode is the paper's sequence of looks at one image (section 3.1) with the confidence gain as
reward (section 3.2). This is the only copy of the rules; the environments convert to and from
NumPy around it, and learners that live on the device call it directly. Nothing here waits for the
device, but for a step in which some may stop: only the others are looked at.
"""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat

from gf_env.configuration import configuration
from gf_env.envs.actions import Look
from gf_env.envs.rewards import AGAINST_RANDOM, get_reward
from gf_env.feature_bank.bank import FeatureBank
from gf_env.geometry import Lattice
from gf_env.network.glance_focus_net import GlanceFocusNet

GlimpseSource = GlanceFocusNet | FeatureBank
"""What episodes see with; of either, `glance`, `focus` and `encode_patches` are used."""


@configuration
class Rules:
    """What can be chosen about an episode.

    Attributes:
        sequence_length: T, glance included, so T - 1 actions.
        reward: a name in `gf_env.envs.rewards.REWARDS`.
        exit_thresholds: (T,) in [0, 1] or above 1 for never; the episode ends after step t > 1
            once the largest probability reaches threshold t. An episode has one action at least,
            so the first is not used. None: every episode runs to the end.
        lattice: looks go to the nearest of its patches. None: to any patch.
        rivals: the patches that a contrastive reward's random looks are drawn from; the reward
            takes the mean over all of them, so that it has no noise of its own.
        look_cost: taken off the reward of every look, 0 or more and finite, as features have a
            price in active feature acquisition (Janisch et al., arXiv 1711.07364; AFABench, arXiv
            2508.14734).
    """

    sequence_length: Annotated[int, Field(ge=2)]
    reward: str = "confidence_gain"
    exit_thresholds: tuple[NonNegativeFloat, ...] | None = None
    lattice: Lattice | None = None
    rivals: Lattice | None = None
    look_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    def __post_init__(self) -> None:
        """Check the reward's name, and what concerns several fields."""
        get_reward(self.reward)
        if self.reward in AGAINST_RANDOM and self.rivals is None:
            raise ValueError(f"reward {self.reward!r} needs rivals to compare looks with")
        thresholds = self.exit_thresholds
        if thresholds is not None and len(thresholds) != self.sequence_length:
            raise ValueError(
                f"exit_thresholds needs one value for each of {self.sequence_length} steps, "
                f"got {len(thresholds)}"
            )


class Episodes(NamedTuple):
    """n episodes at any step each.

    Attributes:
        images: (n, C, S, S), uint8 or normalised float; with `rows`, (m, C, S, S). With a feature
            bank, their numbers in it, (n,) or (m,) int64.
        labels: (n,) int64, the true classes.
        step: (n,) int64, looks taken so far: 1 after the glance, T at the end.
        features: (n, channels, h, w) float32, feature map of the newest look.
        glance_features: likewise, of the glance.
        hidden: (n, H) float32, the classifier's state.
        logits: (n, classes) float32.
        locations: (n, T - 1, 2) float32 in [0, 1], (row, col), where the episode has looked; 0.5
            where it has not.
        gain: (n,) float32, what the newest action earned, the look's cost not taken off; 0 before
            the first, and of an action that stopped.
        stopped: (n,) bool, whether the agent has ended the episode; such an episode stays as it is.
        rows: (n,) int64 in [0, m), which of the images they are of, so that images need not be
            copied when some episodes are taken; None: episode i is of image i.
    """

    images: torch.Tensor
    labels: torch.Tensor
    step: torch.Tensor
    features: torch.Tensor
    glance_features: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor
    locations: torch.Tensor
    gain: torch.Tensor
    stopped: torch.Tensor
    rows: torch.Tensor | None = None

    def own_images(self) -> torch.Tensor:
        """Return each episode's image, (n, C, S, S) or (n,)."""
        return self.images if self.rows is None else self.images[self.rows]

    def take(self, rows: torch.Tensor) -> Episodes:
        """Return the episodes in `rows`, (k,) int64, of the same images."""
        values = {name: each.index_select(0, rows) for name, each in self._per_episode().items()}
        return self._replace(rows=rows if self.rows is None else self.rows[rows], **values)

    def put(self, rows: torch.Tensor, others: Episodes) -> Episodes:
        """Return these episodes with `others` in the place of `rows`, (k,) int64.

        The others are new, or were taken from these rows.
        """
        images, own, theirs = self.images, self.rows, others._per_episode()
        if others.images is not images:
            places = rows if own is None else own[rows]
            images = images.index_copy(0, places, others.own_images())
        elif own is not None and others.rows is not None:
            own = own.index_copy(0, rows, others.rows)
        values = {
            name: each.index_copy(0, rows, theirs[name])
            for name, each in self._per_episode().items()
        }
        return self._replace(images=images, rows=own, **values)

    def join(self, others: Episodes) -> Episodes:
        """Return these episodes and others of the same images; both have `rows`.

        Raises:
            ValueError: they are of other images.
        """
        if others.images is not self.images or self.rows is None or others.rows is None:
            raise ValueError("expected episodes that have rows, of the same images")
        theirs = others._per_episode()
        values = {
            name: torch.cat([each, theirs[name]]) for name, each in self._per_episode().items()
        }
        return self._replace(rows=torch.cat([self.rows, others.rows]), **values)

    def _per_episode(self) -> dict[str, torch.Tensor]:
        """Return everything but the images and `rows`, by name."""
        values = self._asdict()
        return {name: values[name] for name in self._fields if name not in ("images", "rows")}


class Readout(NamedTuple):
    """What the classifier says, for n episodes.

    Attributes:
        confidence: (n,) float32 in [0, 1], probability of the true class.
        max_probability: (n,) float32 in [0, 1], probability of the predicted class.
        prediction: (n,) int64.
        correct: (n,) bool.
    """

    confidence: torch.Tensor
    max_probability: torch.Tensor
    prediction: torch.Tensor
    correct: torch.Tensor


@torch.no_grad()
def reset(
    glimpse_source: GlimpseSource,
    rules: Rules,
    images: torch.Tensor,
    labels: torch.Tensor,
    rows: torch.Tensor | None = None,
) -> Episodes:
    """Start an episode on each image: the glance.

    Args:
        glimpse_source: a network in eval mode or a feature bank, on the images' device.
        rules: see `Rules`.
        images: (m, C, S, S), uint8 or normalised float, or what else the source understands.
        labels: (n,) int64.
        rows: (n,) int64 in [0, m), which images; None: all, n = m.
    """
    glimpse = glimpse_source.glance(images, rows)
    count = len(labels)
    return Episodes(
        images=images,
        labels=labels,
        step=torch.ones_like(labels),
        features=glimpse.features,
        glance_features=glimpse.features,
        hidden=glimpse.hidden,
        logits=glimpse.logits,
        locations=glimpse.hidden.new_full((count, rules.sequence_length - 1, 2), 0.5),
        gain=glimpse.hidden.new_zeros(count),
        stopped=labels.new_zeros(count, dtype=torch.bool),
        rows=rows,
    )


@torch.no_grad()
def step(
    glimpse_source: GlimpseSource, rules: Rules, episodes: Episodes, look: Look
) -> tuple[Episodes, torch.Tensor, torch.Tensor]:
    """Look once more in every episode, but for those that stop or have stopped.

    Args:
        glimpse_source: that of the episodes' reset.
        rules: see `Rules`.
        episodes: none of them at its end, unless it has stopped.
        look: where, and who stops; where it does not say, none may have stopped before.

    Returns:
        The episodes after it, rewards (n,) float32 and terminated (n,) bool. An episode that stops
        or has stopped is as it was, earns 0 and is terminated.
    """
    if look.stop is None:
        return _look_again(glimpse_source, rules, episodes, look.locations)
    stopped = episodes.stopped | look.stop
    after = episodes._replace(gain=torch.zeros_like(episodes.gain), stopped=stopped)
    rewards, terminated = torch.zeros_like(episodes.gain), stopped
    going = (~stopped).nonzero()[:, 0]
    if len(going):
        looked, earned, ended = _look_again(
            glimpse_source, rules, after.take(going), look.locations[going]
        )
        after = after.put(going, looked)
        rewards = rewards.index_copy(0, going, earned)
        terminated = stopped.index_copy(0, going, ended)
    return after, rewards, terminated


def _look_again(
    glimpse_source: GlimpseSource, rules: Rules, episodes: Episodes, locations: torch.Tensor
) -> tuple[Episodes, torch.Tensor, torch.Tensor]:
    """Look once more in every episode; return what `step` does."""
    if rules.lattice is not None:
        locations = rules.lattice.snap(locations)
    after = advance(glimpse_source, episodes, locations)
    against = (
        random_look(glimpse_source, rules, episodes)
        if rules.reward in AGAINST_RANDOM
        else episodes.logits
    )
    gain = get_reward(rules.reward)(against, after.logits, episodes.labels)
    rewards = gain - rules.look_cost if rules.look_cost else gain
    return after._replace(gain=gain), rewards, _terminated(rules, after)


@torch.no_grad()
def advance(glimpse_source: GlimpseSource, episodes: Episodes, locations: torch.Tensor) -> Episodes:
    """Look once more, as `step` does, without reward and end.

    Args:
        glimpse_source: that of the episodes' reset.
        episodes: none of them at its end.
        locations: (n, 2) float32 in [0, 1], (row, col).
    """
    glimpse = glimpse_source.focus(episodes.images, locations, episodes.hidden, episodes.rows)
    slot = (episodes.step[:, None, None] - 1).expand(-1, 1, 2)
    return episodes._replace(
        step=episodes.step + 1,
        features=glimpse.features,
        hidden=glimpse.hidden,
        logits=glimpse.logits,
        locations=episodes.locations.scatter(1, slot, locations[:, None]),
    )


def random_look(glimpse_source: GlimpseSource, rules: Rules, episodes: Episodes) -> torch.Tensor:
    """Return the logarithm of the mean probabilities after a look at each rival, (n, classes)."""
    assert rules.rivals is not None  # rules see to that
    locations = rules.rivals.locations(episodes.hidden.device)
    count, looks = len(episodes.labels), len(locations)
    every = torch.arange(count, device=locations.device)
    rows = every if episodes.rows is None else episodes.rows
    glimpse = glimpse_source.focus(
        episodes.images,
        locations.repeat(count, 1),
        episodes.hidden.repeat_interleave(looks, dim=0),
        rows.repeat_interleave(looks),
    )
    return glimpse.logits.softmax(1).view(count, looks, -1).mean(1).log()


def _terminated(rules: Rules, after: Episodes) -> torch.Tensor:
    terminated = after.step >= rules.sequence_length
    return terminated if rules.exit_thresholds is None else terminated | is_sure(rules, after)


def is_sure(rules: Rules, episodes: Episodes) -> torch.Tensor:
    """Return where the largest probability reaches the exit threshold of its look, (n,) bool."""
    if rules.exit_thresholds is None:
        return torch.zeros_like(episodes.stopped)
    thresholds = _thresholds(rules.exit_thresholds, episodes.logits.device)
    return episodes.logits.softmax(1).amax(1) >= thresholds[episodes.step - 1]


@functools.lru_cache(maxsize=32)
def _thresholds(values: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """Kept on the device: a copy in each step would make the step wait for it."""
    return torch.tensor(values, device=device)


@torch.no_grad()
def readout(episodes: Episodes) -> Readout:
    """Return what the classifier says of each episode now."""
    probabilities = episodes.logits.softmax(1)
    max_probability, prediction = probabilities.max(1)
    confidence = probabilities.gather(1, episodes.labels[:, None])[:, 0]
    return Readout(confidence, max_probability, prediction, prediction == episodes.labels)
