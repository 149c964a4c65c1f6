import pytest

from agents.learners.plateau import MOST_STEPS_ELSEWHERE, Plateau

TENTHS = [number / 10 for number in range(1, 11)]


def reached(returns, **settings):
    """Whether the last of points at .1, .2, ... of the limit is on the plateau."""
    return Plateau(**settings).reached(TENTHS[: len(returns)], returns)


@pytest.mark.parametrize(
    ("returns", "is_flat"),
    [
        ([], False),
        # rising by .01 until the limit
        ([number / 100 for number in range(10)], False),
        # of ten points the last three must not be better than the seven before
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5], True),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.503, 0.5], False),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.501, 0.5], True),
        # what was better once and is lost again is no rise
        ([0.1, 0.6, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.55, 0.5], True),
    ],
)
def test_by_hand(returns, is_flat):
    assert reached(returns) is is_flat


def test_not_before_a_share_of_the_limit():
    """A task that shows nothing at first is not at its plateau."""
    assert not reached([0.0, 0.0])
    assert reached([0.0, 0.0, 0.0])
    assert not reached([0.0, 0.0, 0.0], least=0.31)
    assert reached([0.0, 0.0], least=0.0)
    assert not reached([0.0], least=0.0)  # with nothing before it


def test_settings_of_the_rule():
    returns = [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.503, 0.5]
    assert reached(returns, gain=0.004)
    assert reached(returns, share=0.1)


@pytest.mark.parametrize(
    ("dataset", "limit"),
    [
        ("cluttered-digits", 5_000_000),
        ("cluttered-digits-easy", 5_000_000),
        ("signposts", MOST_STEPS_ELSEWHERE),
        ("my/folder", MOST_STEPS_ELSEWHERE),
    ],
)
def test_limits(dataset, limit):
    assert Plateau().limit(dataset) == limit
    assert Plateau(most_steps=7).limit(dataset) == 7


@pytest.mark.parametrize(
    "settings",
    [{"gain": 0}, {"share": 0}, {"share": 1}, {"most_steps": 0}, {"least": 1.1}, {"steps": 1}],
)
def test_settings_that_cannot_be(settings):
    with pytest.raises(ValueError, match=f"Plateau: {next(iter(settings))}.*got"):
        Plateau(**settings)
