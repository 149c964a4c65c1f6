"""Check an installed gf-env: run by `make test-package` from an empty folder, by its own Python."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import gymnasium as gym

import agents
import gf_env
from gf_env.builtin_tasks import BUILTIN_TASKS


def main() -> None:
    """Use what is installed, and nothing of a checkout."""
    site = Path(sysconfig.get_path("purelib"))
    for package in (gf_env, agents):
        assert site in Path(package.__file__).parents, f"{package.__file__} is no installed package"
    ids = [name for name in gym.registry if name.startswith("GlanceFocus")]
    assert len(ids) >= 2 * len(BUILTIN_TASKS)
    for name in ids:
        env = gym.make(name, split="validation")
        env.reset(seed=0)
        env.step(env.action_space.sample())
    for name in ("cluttered-digits-stage3", "cluttered-digits-search"):
        gf_env.load_network(name)
    agents.load_policy("cluttered-digits-search")
    result = gf_env.evaluate(agents.RandomPolicy(), split="validation", num_images=50)
    assert result.accuracy.shape == (5,)
    command = Path(sys.executable).with_name("gf-env")
    for arguments in (["--version"], ["info"], ["benchmark", "rules", "--list"]):
        subprocess.run([command, *arguments], check=True)
    print(f"{len(ids)} ids, networks, policies and commands work from {site}")


if __name__ == "__main__":
    main()
