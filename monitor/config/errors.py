"""Problems of a configuration. All problems are reported at once, each with key, value, origin and hint."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.config.keys import is_secret_setting
from monitor.lib.redaction import (
    MASK,
    as_secret,
    hide_check_option,
    hide_option,
    is_secret,
    is_secret_path,
    is_table_of_secrets,
)

if TYPE_CHECKING:
    from monitor.config.model import Loaded

NO_VALUE = object()
"""Placeholder for the value of a key that is missing."""

_MAX_VALUE_CHARACTERS = 100
_UNKNOWN_KEY_TYPES = {"extra_forbidden", "unexpected_keyword_argument", "unexpected_positional_argument"}
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


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One problem of a configuration. ``value`` is the wrong value with secrets masked, or None without a value."""

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
    """The configuration cannot be used. ``problems`` contains all problems. The text has one line for each of them.

    ``rest`` is the configuration without the invalid values, so that the caller can search it for more problems. It is
    None if a file could not be read.
    """

    def __init__(self, problems: Iterable[ConfigProblem], rest: Loaded | None = None) -> None:
        self.problems = tuple(problems)
        self.rest = rest
        super().__init__("\n".join(map(str, self.problems)))


def problem(
    path: Sequence[str], value: Any, hint: str, origin: str | None = None, *, secret: bool = False
) -> ConfigProblem:
    """Return a problem of the key at ``path``. Secrets in ``value`` are masked.

    If ``value`` is ``NO_VALUE``, the problem has no value. With ``secret``, the type of the key is a secret. The types
    of settings are known here, the types of options are not.
    """
    name = next((part for part in reversed(path) if not part.isdecimal()), "")  # skips the index in a list
    mask_option = hide_option if path[0].partition(".")[0] == "channels" else hide_check_option
    if is_secret_path(path) and value is not NO_VALUE and not isinstance(value, Mapping):
        value = MASK
    elif (secret or is_secret_setting(path)) and value is not NO_VALUE:
        value = as_secret(value)
    text = None if value is NO_VALUE else _shortened_repr(mask_option(value, name))
    return ConfigProblem(".".join(path), text, hint, origin)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in ``known`` that is most similar to ``name``, or None if none is similar."""
    by_lowercase = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lowercase, n=1)
    return by_lowercase[matches[0]] if matches else None


def unknown_hint(name: str, known: Iterable[str], noun: str = "key") -> str:
    """Return the hint for an unknown name. It names the most similar known name, or all names if none is similar."""
    known = sorted(known)
    close = nearest(name, known)
    if close is not None:
        return f"unknown {noun}; did you mean {close!r}?"
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"unknown {noun}; known: {listed or 'none'}"


def unknown_key(
    path: Sequence[str], value: Any, known: Iterable[str], origin: str | None = None, suggestion: str | None = None
) -> ConfigProblem:
    """Return the problem of an unknown key.

    The value is masked if the key resembles the name of a secret, such as ``toekn``.
    """
    known = tuple(known)
    close = suggestion or nearest(path[-1], known)
    words = path[-1].lower().split("_")
    resembles_secret_key = close is not None and (is_secret(close) or is_table_of_secrets(close))
    if resembles_secret_key or any(nearest(word, _SECRET_EXAMPLES) for word in words):
        value = MASK
    hint = f"unknown key; did you mean {suggestion!r}?" if suggestion else unknown_hint(path[-1], known)
    return problem(path, value, hint, origin)


def problems_from_validation(
    prefix: str,
    error: ValidationError,
    known_names: Iterable[str],
    origins: Mapping[str, str] | None = None,
    secret_names: Collection[str] = (),
) -> list[ConfigProblem]:
    """Return the problems in pydantic's error about the table at the dotted key ``prefix``, such as ``checks.NAME``.

    ``known_names`` contains the keys that the table may have, for hints about unknown keys. ``origins`` maps each
    dotted key to its origin. ``secret_names`` contains the keys of the table whose type is a secret.
    """
    known = tuple(known_names)
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        path = [*filter(None, [prefix]), *(str(part) for part in detail["loc"])]
        origin = _origin(path, origins or {})
        if detail["type"] in _UNKNOWN_KEY_TYPES:
            problems.append(unknown_key(path, detail["input"], known, origin))
        else:
            secret = bool(detail["loc"]) and detail["loc"][0] in secret_names
            problems.append(problem(path, _value(detail), _hint(detail), origin, secret=secret))
    return problems


def _shortened_repr(masked: Any) -> str:
    text = repr(masked)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}..."


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
