"""Every snippet of docs/LIBRARIES.md is run as it stands, but shorter, and does what it says."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.helpers.libraries_table import PAGE
from tests.helpers.paths import ROOT

FENCE = r"^## (.*?)$|^```(py|sh)\n(.*?)^```$"
# a tenth of the scenes: their bank is built in seconds and has 0.26 GB
SHORT = {'"split": "train"': '"split": "validation"', 'split="train"': 'split="validation"'}


def found():
    """Yield the section, the language and the text of each snippet that is not run elsewhere."""
    section = ""
    for heading, language, text in re.findall(FENCE, PAGE.read_text(), re.DOTALL | re.MULTILINE):
        section = heading or section
        if language:
            yield section, language, text


@dataclass
class Snippet:
    """What is known of one.

    Attributes:
        section: of the page.
        package: that it needs.
        feature: what it shows.
        shorter: texts to put in the place of others.
        check: is given what the snippet defined and printed; returns what it found.
    """

    section: str
    package: str
    feature: str
    check: Callable[[dict[str, Any], str], str]
    shorter: dict[str, str] = field(default_factory=dict)


def check_single(defined, printed):
    assert defined["env"].rollout(10).batch_size == (4,)
    assert "tensor([" in printed
    return ""


def check_collector(defined, printed):
    first, *_, before, last = defined["returns"]
    assert (before + last) / 2 > first + 0.03
    return f"return {first:.2f} to {last:.2f} in 40,960 steps"


def check_cleanrl(defined, printed):
    first, *_, last = map(float, re.findall(r"return ([.\d]+)", printed))
    assert last > first + 0.05
    assert len((ROOT / "examples" / "cleanrl_style_ppo.py").read_text().splitlines()) < 80
    return f"return {first:.2f} to {last:.2f} in 81,920 steps"


def check_skrl(defined, printed):
    agent, env = defined["agent"], defined["env"]
    observation, _ = env.reset()
    returns = 0.0
    import torch

    for _ in range(40):  # ten episodes each
        with torch.no_grad():
            _, outputs = agent.act(observation, None, timestep=0, timesteps=1)
        observation, rewards, *_ = env.step(outputs["mean_actions"])
        returns += rewards.mean().item() / 10
    assert returns > CENTRE + 0.1
    return f"return {returns:.2f} after 61,440 steps"


def check_tianshou(defined, printed):
    import gymnasium as gym

    ours = gym.make_vec("GlanceFocusGrid-v0", num_envs=2, split="validation")
    with pytest.raises(TypeError, match=r"GlanceFocusVectorEnv.*len"):
        defined["Collector"](defined["algorithm"], ours)
    collector = defined["collector"]
    collector.reset()
    found = collector.collect(n_episode=512)
    assert set(found.lens) == {4}
    assert found.returns.mean() > RANDOM + 0.03
    return f"return {found.returns.mean():.2f} after 32,768 steps"


def check_zoo(defined, printed):
    assert re.search(r"ep_len_mean +\| 4 ", printed)
    assert [*defined["folder"].rglob("GlanceFocus-v0.zip")]
    return "episodes of four steps, a saved model"


def check_minari(defined, printed):
    (episode, *_) = defined["episodes"]
    assert episode.infos["is_success"].shape == (5,)
    assert float(printed) > CENTRE + 0.06
    spec = defined["minari"].load_dataset("glance-focus/paper-v0").recover_environment().spec
    assert (spec.id, spec.kwargs["split"]) == ("GlanceFocus-v0", "validation")
    return f"return of the clone {float(printed):.2f} after 150 episodes"


def check_rllib(defined, printed):
    result = defined["result"]
    assert result["episode_len_mean"] == 4
    return f"episodes of four steps, return {result['episode_return_mean']:.2f} after 8,192 steps"


def check_return(defined, printed):
    assert np.isfinite(float(printed))
    return ""


def check_play(defined, printed):
    assert defined["pressed"] == 4
    return "four keys, one episode"


CENTRE, RANDOM = 0.04, 0.14
"""Mean returns of two rules, README."""
SCENES = {"--total-timesteps 400000": "--total-timesteps 81920 --num-scenes 2000"}
FRAMES = {"total_frames=200_000": "total_frames=40_960"}
SNIPPETS = [
    Snippet("TorchRL", "torchrl", "a single environment, infos", check_single),
    Snippet("TorchRL", "torchrl", "native vector env, collector, PPO", check_collector, FRAMES),
    Snippet("CleanRL", "torch", "`examples/cleanrl_style_ppo.py`", check_cleanrl, SCENES),
    Snippet("skrl", "skrl", "native vector env, PPO", check_skrl, {"800": "240"}),
    Snippet(
        "Tianshou", "tianshou", "its vector env, PPO", check_tianshou, {"epochs=3": "epochs=2"}
    ),
    Snippet(
        "RL Baselines3 Zoo (rl_zoo3)",
        "rl_zoo3",
        "`examples/rl_zoo3_ppo.yml`",
        check_zoo,
        {"200000": "8192", "'train'": "'validation'"},
    ),
    Snippet(
        "Minari",
        "minari",
        "recording with infos, loading, behaviour cloning",
        check_minari,
        {"range(300)": "range(150)", 'split="test"': 'split="test", num_images=500'},
    ),
    Snippet(
        "RLlib", "ray", "PPO, `vector_entry_point` with `NextStep`", check_rllib, {"(10)": "(2)"}
    ),
    Snippet(
        "Stable-Baselines3",
        "stable_baselines3",
        "`VecNormalize`",
        check_return,
        {"200_000": "4096", "evaluate(model)": "evaluate(model, num_images=100)"},
    ),
    Snippet("By hand", "pygame", "`gymnasium.utils.play`", check_play),
]


def test_every_snippet_is_known():
    assert [section for section, _, _ in found()] == [snippet.section for snippet in SNIPPETS]


NAMES = {
    "By hand": "pygame",
    "CleanRL": "CleanRL's style, PyTorch",
    "RL Baselines3 Zoo (rl_zoo3)": "RL Baselines3 Zoo",
}
"""Of libraries, where they are not those of sections."""


def parameters():
    for number, each in enumerate(SNIPPETS):
        library = NAMES.get(each.section, each.section)
        feature = pytest.mark.feature(library, each.package.replace("_", "-"), each.feature)
        marks = [feature, pytest.mark.rllib] if library == "RLlib" else [feature]
        yield pytest.param(number, id=each.section, marks=marks)


@pytest.mark.parametrize("number", list(parameters()))
def test_snippet(number, tmp_path, monkeypatch, capsys, record_property):
    snippet = SNIPPETS[number]
    pytest.importorskip("ray.rllib" if snippet.section == "RLlib" else snippet.package)
    _, language, text = list(found())[number]
    for long, short in {**SHORT, **snippet.shorter}.items():
        assert long in text or long in SHORT, f"{long!r} is not in the snippet"
        text = text.replace(long, short)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    defined = {"folder": tmp_path}
    if language == "sh":
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        command = [sys.executable, *shlex.split(text.replace("\\\n", " "))[1:]]
        printed = run(command)
    else:
        if snippet.section == "By hand":
            press_keys(monkeypatch, defined)
        exec(compile(text, snippet.section, "exec"), defined)
        printed = capsys.readouterr().out
    record_property("result", snippet.check(defined, printed))


def run(command):
    """Run a command and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def press_keys(monkeypatch, counts):
    """Press four keys, one after the other, and close the window."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    import pygame

    counts["pressed"] = 0

    def events():
        if counts["pressed"] == 4:
            return [pygame.event.Event(pygame.QUIT)]
        counts["pressed"] += 1
        return [pygame.event.Event(kind, key=ord("s")) for kind in (pygame.KEYDOWN,)]

    monkeypatch.setattr(pygame.event, "get", events)
