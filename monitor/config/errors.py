"""Problems of a configuration, which are reported together, each with key, value, origin and hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.lib.redaction import MASK, hide_check_option, hide_option, is_secret, is_secret_path, is_table_of_secrets

if TYPE_CHECKING:
    from monitor.config.model import Loaded

NO_VALUE = object()
"""Placeholder for the value of a key that is missing."""

_VALUE_LENGTH = 100
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument", "unexpected_positional_argument"}
_HINTS = {
    "missing": "is required",
    "missing_argument": "is required",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "mapping_type": "should be a table",
    "dataclass_type": "should be a table",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": "should be a text",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "path_type": "should be a path",
}
_SILENT = {"default_factory_not_called"}  # a consequence of another field's error, which has its own problem


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One problem of a configuration. ``value`` is None if there is none; its secrets are masked."""

    key: str
    value: str | None
    hint: str
    origin: str | None = None

    def __str__(self) -> str:
        value = "" if self.value is None else f" = {self.value}"
        origin = "" if self.origin is None else f" ({self.origin})"
        line = f"{self.key}{value}{origin}: {self.hint}"
        return line if line.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


class ConfigError(Exception):
    """A configuration that cannot be used, with all its ``problems``. The text has one line for each.

    ``rest`` is the valid remainder, in which the caller may search for further problems; None if a file was unreadable.
    """

    def __init__(self, problems: Iterable[ConfigProblem], rest: Loaded | None = None) -> None:
        self.problems = tuple(problems)
        self.rest = rest
        super().__init__("\n".join(map(str, self.problems)))


def problem(path: Sequence[str], value: Any, hint: str, origin: str | None = None) -> ConfigProblem:
    """Return a problem of the key at ``path``, with the value masked, or without a value for ``NO_VALUE``."""
    name = next((part for part in reversed(path) if not part.isdecimal()), "")  # skips the index in a list
    hide = hide_option if path[0].partition(".")[0] == "channels" else hide_check_option
    if is_secret_path(path) and value is not NO_VALUE and not isinstance(value, Mapping):
        value = MASK
    return ConfigProblem(".".join(path), None if value is NO_VALUE else _shown(hide(value, name)), hint, origin)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to ``name``; None if no name is similar."""
    folded = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    return folded[close[0]] if close else None


def unknown_hint(name: str, known: Iterable[str], noun: str = "key") -> str:
    """Return the hint for an unknown name: the most similar known name, or all names if none is similar."""
    known = sorted(known)
    close = nearest(name, known)
    if close is not None:
        return f"unknown {noun}; did you mean {close!r}?"
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"unknown {noun}; known: {listed or 'none'}"


def unknown_key(
    path: Sequence[str], value: Any, known: Iterable[str], origin: str | None = None, suggestion: str | None = None
) -> ConfigProblem:
    """Return the problem of an unknown key. The value of a misspelt secret (``toekn``) is masked as well."""
    known = tuple(known)
    close = suggestion or nearest(path[-1], known)
    words = path[-1].lower().split("_")
    hides = close is not None and (is_secret(close) or is_table_of_secrets(close))
    if hides or any(nearest(word, _SECRET_EXAMPLES) for word in words):
        value = MASK
    hint = f"unknown key; did you mean {suggestion!r}?" if suggestion else unknown_hint(path[-1], known)
    return problem(path, value, hint, origin)


def problems_from_validation(
    prefix: str, error: ValidationError, known_names: Iterable[str], origins: Mapping[str, str] | None = None
) -> list[ConfigProblem]:
    """Return the problems in pydantic's error for the table at the dotted key ``prefix`` (``checks.NAME``).

    ``known_names`` are the keys that the table may have, for hints about unknown keys. ``origins`` has the origin of
    each dotted key.
    """
    known = tuple(known_names)
    found = []
    for detail in error.errors(include_url=False, include_context=False):
        if detail["type"] in _SILENT:
            continue
        path = [*filter(None, [prefix]), *(str(part) for part in detail["loc"])]
        origin = _origin(path, origins or {})
        if detail["type"] in _UNKNOWN:
            found.append(unknown_key(path, detail["input"], known, origin))
        else:
            found.append(problem(path, _value(detail), _hint(detail), origin))
    return found


def _shown(masked: Any) -> str:
    text = repr(masked)
    return text if len(text) <= _VALUE_LENGTH else f"{text[:_VALUE_LENGTH]}..."


def _value(detail: ErrorDetails) -> Any:
    return NO_VALUE if detail["type"] in {"missing", "missing_argument"} else detail["input"]


def _hint(detail: ErrorDetails) -> str:
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if detail["type"] in {"too_short", "string_too_short"} and " at least 1 " in text:
        return "should not be empty"
    return _HINTS.get(detail["type"], text)


def _origin(path: Sequence[str], origins: Mapping[str, str]) -> str | None:
    keys = (".".join(path[:end]) for end in range(len(path), 0, -1))
    return next((origins[key] for key in keys if key in origins), None)


_SECRET_EXAMPLES = ("token", "password", "secret", "apikey", "passphrase", "credentials")
