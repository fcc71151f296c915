"""Facts about a project that the monitor's roles and commands need, as text that one process writes for another.

The text is a Python literal, not JSON: keys of options may be numbers, as in ``socket_keepalive_options``. To read it,
no class of the project is imported.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, time, timedelta
from enum import Enum
from typing import Any


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """Values that the monitor needs from a project. They are plain: tables, lists, texts, numbers."""

    settings_module: str | None = None
    """Value of ``DJANGO_SETTINGS_MODULE``. The project's Celery application may have set it."""
    explicit: Mapping[str, Any] = field(default_factory=dict)
    """The dict ``settings.MONITOR``."""
    derived: Mapping[str, Any] = field(default_factory=dict)
    """Defaults for settings of the monitor, from the settings of Django and Celery."""
    applications: tuple[str, ...] = ()
    """Names of the project's Celery applications."""
    problem: tuple[str, str | None, str] | None = None
    """Key, value and hint of the problem if the project cannot be imported."""


def encode(facts: ProjectFacts) -> str:
    """Return the facts as one line of text."""
    return repr({each.name: plain(getattr(facts, each.name)) for each in fields(facts)})


def decode(text: str) -> ProjectFacts:
    """Return the facts in a text. Raise ValueError if the text is damaged."""
    try:
        values = ast.literal_eval(text)
        values["applications"] = tuple(values["applications"])
        return ProjectFacts(**values)
    except (SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ValueError("not the facts of a project") from error


def is_plain(value: Any) -> bool:
    """Return whether a value consists of tables, lists, texts and numbers only."""
    if isinstance(value, Mapping):
        return all(is_plain(item) for pair in value.items() for item in pair)
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | bytes | int | float)


def plain(value: Any) -> Any:
    """Return a value of a project's settings as tables, lists, texts and numbers.

    A value of another type becomes its text: a lazily translated text, for example. The validation of the configuration
    reports a text that makes no sense.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=repr)  # the same order in each process
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    match value:
        case Enum():
            result = plain(value.value)
        case str() | bytes():
            result = value[:]  # of a subclass, such as a safe string: the plain type
        case float():
            result = _Infinity(value) if math.isinf(value) else value
        case timedelta():
            result = value.total_seconds()
        case date() | time():
            result = value.isoformat()
        case None | int():
            result = value
        case _:
            reveal = getattr(value, "get_secret_value", None)
            result = plain(reveal()) if callable(reveal) else str(value)
    return result


class _Infinity(float):
    """Infinity whose representation is a literal."""

    def __repr__(self) -> str:
        return "1e999" if self > 0 else "-1e999"
