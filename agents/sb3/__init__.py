"""The bridge to Stable-Baselines3."""

from agents.sb3.vec_env import GlanceFocusVecEnv

__all__ = ["GlanceFocusVecEnv"]
