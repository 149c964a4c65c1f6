"""When a training has ended: a rule that is declared before it begins."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from gf_env.configuration import Fraction, configuration

MOST_STEPS = {"cluttered-digits": 5_000_000}
"""Steps after which a training ends in any case, by the data set's name, its level left out."""
MOST_STEPS_ELSEWHERE = 2_000_000


@configuration
class Plateau:
    """A training has ended once the return on validation images no longer rises, or at a limit.

    Learning rates and the like that are led to the last update are led to that of the limit. So
    where the rule ends a training before, they have not arrived; `ends = false` lets them, and the
    rule then only says whether the curve was flat.
    """

    gain: PositiveFloat = 0.002
    """By how much the best return must be above the best one before, to be better."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Of the steps so far: in these last ones it must have become better."""
    most_steps: PositiveInt | None = None
    """The limit; None: that of the data set, see `MOST_STEPS`."""
    least: Fraction = 0.3
    """Share of the limit before which a curve is not flat, whatever it looks like: some tasks show
    nothing at first."""
    validations: PositiveInt = 50
    """How many there are until the limit."""
    num_images: PositiveInt | None = 2000
    """Of the validation split, the first so many; None: all."""
    ends: bool = True
    """End a training when its curve is flat."""

    def reached(self, at: Sequence[float], returns: Sequence[float]) -> bool:
        """Whether the newest point is on the plateau.

        Args:
            at: shares of the limit, rising, at which there was a validation.
            returns: mean returns there.
        """
        if not at or at[-1] < self.least:
            return False
        recent = (1 - self.share) * at[-1]
        before = [value for place, value in zip(at, returns, strict=True) if place <= recent]
        since = [value for place, value in zip(at, returns, strict=True) if place > recent]
        return bool(before) and max(since) - max(before) < self.gain

    def limit(self, dataset: str) -> int:
        """Return the most steps of a training on a data set, which is named."""
        task = next((name for name in MOST_STEPS if dataset.startswith(name)), None)
        own = MOST_STEPS_ELSEWHERE if task is None else MOST_STEPS[task]
        return own if self.most_steps is None else self.most_steps
