"""Generator of reference pages in Markdown, with a section for each class of a registry."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from monitor.plugins.registry import Registry, json_schema


def page(
    head: str,
    registry: Registry[Any],
    config_table: str,
    more: Callable[[Any], Iterable[str]] = lambda _: (),
    *,
    links: Iterable[str] = (),
    end: Iterable[str] = (),
) -> str:
    """Return a page: ``head``, a table of contents, and a section for each class of the registry.

    Classes of other packages are left out, so that the page does not depend on the installed packages. ``config_table``
    is the table of the configuration for the examples. ``more`` returns the last lines of a section. ``links`` contains
    the last entries of the table of contents, and ``end`` the last lines of the page.
    """
    classes = [cls for cls in map(registry.find, registry.names()) if cls.__module__.startswith("monitor.")]
    contents = " · ".join([*(f"[`{cls.name}`](#{cls.name})" for cls in classes), *links])
    sections = ["\n".join([*section(cls, config_table), *more(cls)]) for cls in classes]
    return "\n".join([head, contents + "\n", *sections, *end])


def section(cls: Any, config_table: str) -> Iterator[str]:
    """Yield the lines of the section about a class: its docstring, its example and its options."""
    yield f"## {cls.name}\n"
    yield inspect.cleandoc(cls.__doc__ or "").replace("``", "`") + "\n"
    yield from toml(f"{config_table}.my-{cls.name.replace('_', '-')}", {"kind": cls.name, **cls.example})
    if rows := list(options(cls)):
        yield from table(("option", "value", "default", "meaning"), rows)


def options(cls: type[Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and description of each option of a dataclass."""
    schema = json_schema(cls)
    for field in dataclasses.fields(cls):
        option = schema[field.name]
        yield f"`{field.name}`", _type(option), _default(field), option.get("description", "")


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown, and an empty line."""
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def toml(config_table: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table of a configuration file, as a block of code in Markdown."""
    yield "```toml"
    yield f"[{config_table}]"
    for option, value in values.items():
        yield f"{option} = {_toml_value(value)}"
    yield "```\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)  # strings, numbers and lists are equal in JSON and TOML


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of an option in words, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list ({_type(schema['items'])})"
    if schema.get("format") == "password":
        return "text (secret)"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "table"}
    return words.get(schema.get("type", ""), str(schema.get("type", "any"))) + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    signs = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs if key in schema]
    return f" ({', '.join(limits)})" if limits else ""


def _default(field: dataclasses.Field[Any]) -> str:
    if key := field.metadata.get("config"):
        fallback = f", else `{json.dumps(field.default)}`" if field.default is not dataclasses.MISSING else ""
        return f"`{key}` of the configuration{fallback}"
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
