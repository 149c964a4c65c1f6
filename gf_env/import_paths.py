"""Objects that a user names as `package.module:Name`: finds and calls them."""

import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from typing import Any


def is_module_path(name: str) -> bool:
    """Whether a name is of the form `package.module:Name`."""
    module, colon, attribute = name.partition(":")
    parts = [*module.split("."), attribute]
    return bool(colon) and all(part.isidentifier() for part in parts)


def load_object(name: str) -> Any:
    """Return what `package.module:Name` names; modules are looked for in the working folder too.

    Raises:
        ValueError: no such module or name, or the module cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:  # a command's own folder is on the path, not the one it is called in
        sys.path.insert(0, here)
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # the user's module may raise anything
        module = sys.modules.get(module_name)
        if module is None:
            raise ValueError(
                f"cannot import {module_name!r}, named by {name!r}: {type(error).__name__}: {error}"
            ) from error
        known = [each for each in vars(module) if not each.startswith("_")]
        raise ValueError(f"module {module_name!r} has no {attribute!r}; it has {known}") from error


def call_with(
    made: Callable[..., Any], settings: Mapping[str, Any], offered: Mapping[str, Any]
) -> Any:
    """Call a class or function with settings, and with those of the offered arguments it takes.

    Raises:
        ValueError: it does not take these settings.
    """
    signature = inspect.signature(made)
    names = signature.parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in names.values())
    fitting = {name: value for name, value in offered.items() if takes_any or name in names}
    arguments = {**fitting, **settings}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        call = f"{getattr(made, '__name__', repr(made))}{signature}"
        raise ValueError(f"{call} cannot be called with {dict(settings)}: {error}") from error
    return made(**arguments)
