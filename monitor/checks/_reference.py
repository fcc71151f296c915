"""The reference of all kinds, made of their code: ``python -m monitor.checks._reference > docs/checks.md``."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from monitor.checks import registry
from monitor.checks.base import Kind

_HEAD = """\
# Kinds of checks

<!-- Made by `python -m monitor.checks._reference > docs/checks.md`; a test compares the two. -->

What can be observed, with the options of each kind. The options every check has (`interval`, `timeout`, `groups`, ...)
are those of the configuration. A check is one table of the configuration file, as in the examples. Data is public:
it is part of the probes' bodies. A reason is the code that says why a check is not `ok`; besides those below every kind
may end with `timeout` (not done in time, and ended), `exception` (it raised; the log has the traceback), `crashed`
(its process died) and `bad_data` (what it returned cannot be stored).
"""


def render() -> str:
    """The whole page, as Markdown."""
    # Only our own kinds: what other packages ship depends on the machine.
    ours = [name for name in registry.names() if registry.find(name).__module__.startswith("monitor.checks.")]
    contents = [f"[`{name}`](#{name})" for name in ours]
    parts = [_HEAD, " · ".join(contents) + "\n", *("\n".join(_section(registry.find(name))) for name in ours)]
    return "\n".join(parts)


def _section(cls: type[Kind]) -> Iterator[str]:
    yield f"## {cls.name}\n"
    yield inspect.cleandoc(cls.__doc__ or "").replace("``", "`") + "\n"
    yield from ["```toml", *_toml(cls), "```\n"]
    if rows := list(_options(cls)):
        yield from _table(("option", "value", "default", ""), rows)
    if cls.reports:
        yield from _table(("data", ""), ((f"`{name}`", text) for name, text in cls.reports.items()))
    if cls.reasons:
        yield from _table(("reason", ""), ((f"`{name}`", text) for name, text in cls.reasons.items()))


def _toml(cls: type[Kind]) -> Iterator[str]:
    yield f"[checks.my-{cls.name.replace('_', '-')}]"
    yield f'kind = "{cls.name}"'
    for option, value in cls.example.items():
        yield f"{option} = {_toml_value(value)}"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)  # strings, numbers and lists look the same in TOML


def _options(cls: type[Kind]) -> Iterator[tuple[str, str, str, str]]:
    schema = registry.schema(cls)
    for field in dataclasses.fields(cls):
        about = schema[field.name]
        yield f"`{field.name}`", _value(about), _default(field), about.get("description", "")


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


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' for _ in head)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(render())
