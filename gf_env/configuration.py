"""Configurations: frozen dataclasses whose fields are checked and converted when one is made.

Pydantic does it, so a field's type says what is allowed: `PositiveInt`, `Fraction`, a `Literal` of
names, a tuple (which takes the lists of JSON and TOML). What concerns several fields at once stands
in `__post_init__`.
"""

import dataclasses
import functools
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass
from typing_extensions import dataclass_transform

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number in [0, 1]."""

_Class = TypeVar("_Class")


_ADDED = "added"


def added(*, default: Any) -> Any:
    """Return a field that came after runs were published: its default is what was done before."""
    return dataclasses.field(default=default, metadata={_ADDED: True})


def described(config: Any) -> dict[str, Any]:
    """Return a configuration's fields by name, as `dataclasses.asdict` does.

    Fields that were `added` are left out where they have their defaults, so that a run is described
    by the same text as before they came.
    """
    untouched = [
        field.name
        for field in dataclasses.fields(config)
        if field.metadata.get(_ADDED) and getattr(config, field.name) == field.default
    ]
    values = dataclasses.asdict(config)
    return {name: value for name, value in values.items() if name not in untouched}


@dataclass_transform(frozen_default=True, field_specifiers=(Field, added))
def configuration(cls: type[_Class]) -> type[_Class]:
    """Make a class a frozen dataclass that refuses what its fields' types do not allow.

    Raises:
        ValueError: when one is made with a value that is not allowed, or with an unknown field; it
            names each of them.
    """
    options = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
    made = validated_dataclass(frozen=True, config=options)(cls)
    checked_init = made.__init__
    positions = [field.name for field in dataclasses.fields(made)]

    @functools.wraps(checked_init)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            checked_init(self, *args, **kwargs)
        except ValidationError as error:
            raise ValueError(f"{cls.__name__}: {_readable(error, positions)}") from error

    made.__init__ = init  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


def _readable(error: ValidationError, positions: list[str]) -> str:
    """Say in one line what is wrong with which fields."""
    faults = []
    for each in error.errors(include_url=False):
        path = [positions[part] if isinstance(part, int) else part for part in each["loc"][:1]]
        name = ".".join(map(str, [*path, *each["loc"][1:]]))
        message = each["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if each["type"] in ("value_error", "missing"):
            faults.append(f"{name} {message}".strip())
        else:
            faults.append(f"{name} {message}, got {each['input']!r}")
    return "; ".join(faults)
