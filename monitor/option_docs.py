"""What is plugged in, as Markdown made of its code: its options as a table, its example as TOML."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monitor.registry import json_schema


def options(cls: type[Any]) -> Iterator[tuple[str, str, str, str]]:
    """Of each option of a dataclass: its name, what it may be, its default, and what it is."""
    schema = json_schema(cls)
    for field in dataclasses.fields(cls):
        about = schema[field.name]
        yield f"`{field.name}`", _value(about), _default(field), about.get("description", "")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table, and an empty one."""
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def toml(heading: str, values: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table of a configuration file, as a block of code."""
    yield "```toml"
    yield f"[{heading}]"
    for option, value in values.items():
        yield f"{option} = {_toml_value(value)}"
    yield "```\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)  # strings, numbers and lists look the same in TOML


def _value(about: Mapping[str, Any]) -> str:
    """What an option may be, in words, from its JSON schema."""
    if "anyOf" in about:
        return " or ".join(_value(each) for each in about["anyOf"] if each.get("type") != "null")
    if "enum" in about:
        return " or ".join(f"`{value}`" for value in about["enum"])
    if about.get("type") == "array":
        return f"list ({_value(about['items'])})"
    if about.get("format") == "password":
        return "text (secret)"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "table"}
    return words.get(about.get("type", ""), str(about.get("type", "any"))) + _limits(about)


def _limits(about: Mapping[str, Any]) -> str:
    signs = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
    limits = [f"{sign} {about[key]:g}" for key, sign in signs if key in about]
    return f" ({', '.join(limits)})" if limits else ""


def _default(field: dataclasses.Field[Any]) -> str:
    if key := field.metadata.get("config"):
        otherwise = f", else `{json.dumps(field.default)}`" if field.default is not dataclasses.MISSING else ""
        return f"`{key}` of the configuration{otherwise}"
    if field.default_factory is not dataclasses.MISSING:
        return "none"
    if field.default is dataclasses.MISSING:
        return "required"
    default = field.default
    if default is None:
        return "none"
    if isinstance(default, (tuple, frozenset)):
        default = sorted(default)
    return f"`{json.dumps(default, default=str)}`"
