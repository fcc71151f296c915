"""Import of a user's function or class by its dotted path."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

from pydantic import Field

from monitor.checks.base import CheckFailed

DottedPath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*[:.][A-Za-z_][\w.]*$")]
IMPORT_REASONS = {"import": "the dotted path cannot be imported"}


def load(path: str) -> Any:
    """Return the object at ``package.module:name`` (or ``package.module.name``). Raises CheckFailed ``import``."""
    module, name = _split(path)
    try:
        target: Any = importlib.import_module(module)
        for attribute in name.split("."):
            target = getattr(target, attribute)
    except (ImportError, AttributeError) as error:
        raise CheckFailed("import", f"{path}: {error}") from error
    return target


def module_of(path: str) -> str:
    """Return the module of a dotted path."""
    return _split(path)[0]


def _split(path: str) -> tuple[str, str]:
    module, colon, name = path.partition(":")
    if not colon:
        module, _, name = path.rpartition(".")
    return module, name
