"""Where `GlanceFocusExtractor` was before: models that SB3 saved name it by this module."""

from agents.sb3.features import GlanceFocusExtractor

__all__ = ["GlanceFocusExtractor"]
