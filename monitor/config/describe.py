"""The effective configuration as rows for people: key, value, origin. Secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

from monitor.config.keys import setting_keys, table_keys
from monitor.config.loaded import DEFAULT_ORIGIN, Loaded
from monitor.config.model import CheckSpec
from monitor.config.redaction import mask

NOT_SET = "(not set)"
NONE = "(none)"


class Row(NamedTuple):
    """One value: its dotted key, how it may be shown, and where it came from."""

    key: str
    value: str
    origin: str


def describe(loaded: Loaded) -> list[Row]:
    """All settings, then the groups, then the checks, in roster order."""
    return [*_settings(loaded), *_groups(loaded), *_checks(loaded)]


def _settings(loaded: Loaded) -> Iterator[Row]:
    for key in setting_keys():
        value: Any = reduce(getattr, key.attributes, loaded.config)
        yield Row(key.dotted, _text(key.attributes[-1], value), loaded.origin(key.dotted))


def _groups(loaded: Loaded) -> Iterator[Row]:
    for name, group in loaded.config.groups.items():
        for key in table_keys("groups"):
            dotted = f"groups.{name}.{key}"
            yield Row(dotted, _text(key, getattr(group, key)), loaded.origin(dotted))


def _checks(loaded: Loaded) -> Iterator[Row]:
    fields = {field.alias or name: name for name, field in CheckSpec.model_fields.items()}
    for check in loaded.config.checks.values():
        prefix = f"checks.{check.name}"
        for key in table_keys("checks"):
            origin = loaded.origin(f"{prefix}.{key}")
            if origin == DEFAULT_ORIGIN:  # somebody may have changed the default
                origin = loaded.origin(f"defaults.{key}")
            yield Row(f"{prefix}.{key}", _text(fields[key], getattr(check, fields[key])), origin)
        for key, value in check.options.items():
            yield Row(f"{prefix}.{key}", _text(key, value), loaded.origin(f"{prefix}.{key}"))


def _text(name: str, value: Any) -> str:
    match mask(value, name):
        case None:
            text = NOT_SET
        case bool() as flag:
            text = str(flag).lower()
        case float() as number:
            text = f"{number:g}s" if name.endswith("_seconds") else f"{number:g}"
        case list() as items:
            text = ", ".join(map(str, items)) or NONE
        case dict() as table:
            text = ", ".join(f"{key} = {item}" for key, item in table.items()) or NONE
        case plain:
            text = str(plain)
    return text
