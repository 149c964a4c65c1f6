import dataclasses
import pickle
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

import pytest
from pydantic import PositiveInt

from gf_env.configuration import Fraction, added, configuration, described


@configuration
class Inner:
    size: PositiveInt
    shape: tuple[int, int] = (1, 2)


@configuration
class Derived(Inner):
    depth: PositiveInt = 1


@configuration
class Outer:
    inner: Inner = Inner(3)
    share: Fraction = 0.5
    kind: Literal["flat", "conv"] = "flat"
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.share == 1 and self.kind == "conv":
            raise ValueError("a share of 1 needs kind 'flat'")


def test_what_json_has_becomes_what_fields_are():
    made = Outer(inner={"size": 4, "shape": [5, 6]}, share=1)
    assert made.inner == Inner(4, (5, 6))
    assert type(made.share) is float
    assert Outer(**dataclasses.asdict(made)) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert dataclasses.replace(made, kind="flat") == made
    assert hash(Inner(3)) == hash(Inner(3))


@configuration
class Grown(Derived):
    rate: PositiveInt | None = added(default=None)


def test_what_was_added_is_described_where_it_changes_something():
    assert described(Grown(3)) == dataclasses.asdict(Derived(3))
    assert described(Grown(3, rate=2)) == {**dataclasses.asdict(Derived(3)), "rate": 2}
    with pytest.raises(ValueError, match="Grown: rate must be greater than 0, got 0"):
        Grown(3, rate=0)


def test_none_can_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Inner(3).size = 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Inner(0), "^Inner: size must be greater than 0, got 0$"),
        (lambda: Inner(), "^Inner: size Field required$"),
        (lambda: Derived(0, (1, 2), -1), "^Derived: size must be .*; depth must be .*, got -1$"),
        (lambda: Inner(1, (1, 2, 3)), "shape"),
        (lambda: Inner(1, wide=True), "^Inner: wide Unexpected keyword argument, got True$"),
        (lambda: Outer(share=float("nan")), "share must be"),
        (lambda: Outer(share=2, kind="round"), "share must be .*; kind must be 'flat' or 'conv'"),
        (lambda: Outer(inner={"size": -1}), r"inner\.size must be greater than 0, got -1"),
        (lambda: Outer(share=1, kind="conv"), "a share of 1 needs kind 'flat'"),
        (lambda: dataclasses.replace(Inner(1), size="big"), "size must be a valid integer"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
