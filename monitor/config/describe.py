"""Effective configuration as rows of key, value and origin, for `monitor config`. Secrets are masked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from monitor.config.keys import attribute, has_options, setting_keys, table_keys
from monitor.config.model import DEFAULT_ORIGIN, Loaded
from monitor.config.units import FOREVER
from monitor.lib.redaction import as_secret, hide_check_option, hide_option, mask

NOT_SET = "(not set)"
EMPTY = "(none)"


class SettingRow(NamedTuple):
    """One setting: its dotted key, its value as text without secrets, and its origin."""

    key: str
    value: str
    origin: str


SecretOptions = Callable[[str, str], Collection[str]]
"""Function from a table and a kind, such as ``checks`` and ``redis``, to the options whose type is a secret."""


def describe(loaded: Loaded, secret_options: SecretOptions) -> list[SettingRow]:
    """Return a row for each setting, then the rows of the tables of groups, checks, channels and maintenance."""
    tables = ("groups", "checks", "channels", "maintenance")
    table_rows = (row for table in tables for row in _rows_of(loaded, table, secret_options))
    return [*_setting_rows(loaded), *table_rows]


def _setting_rows(loaded: Loaded) -> Iterator[SettingRow]:
    for key in setting_keys():
        value: Any = reduce(getattr, key.attributes, loaded.config)
        yield SettingRow(key.dotted, _text(key.attributes[-1], value), loaded.origin(key.dotted))


def _rows_of(loaded: Loaded, table: str, secret_options: SecretOptions) -> Iterator[SettingRow]:
    entries: Mapping[str, Any] = getattr(loaded.config, table)
    for name, entry in entries.items():
        prefix = f"{table}.{name}"
        for key in table_keys(table):
            origin = loaded.origin(f"{prefix}.{key}")
            if origin == DEFAULT_ORIGIN and table == "checks":  # the value may be from the table `defaults`
                origin = loaded.origin(f"defaults.{key}")
            field_name = attribute(table, key)
            yield SettingRow(f"{prefix}.{key}", _text(field_name, getattr(entry, field_name)), origin)
        mask_option = hide_option if table == "channels" else hide_check_option
        if not has_options(table):
            continue
        secrets = secret_options(table, entry.kind)
        for key, value in entry.options.items():
            masked = mask_option(as_secret(value) if key in secrets else value, key)
            yield SettingRow(f"{prefix}.{key}", _text(key, masked), loaded.origin(f"{prefix}.{key}"))


def _text(name: str, value: Any) -> str:
    match mask(value, name):
        case None:
            text = NOT_SET
        case bool() as flag:
            text = str(flag).lower()
        case float() as number:
            text = FOREVER if number == math.inf else f"{number:.10g}s" if name.endswith("_seconds") else f"{number:g}"
        case list() as items:
            text = ", ".join(map(str, items)) or EMPTY
        case dict() as table:
            text = ", ".join(f"{key} = {item}" for key, item in table.items()) or EMPTY
        case other:
            text = str(other)
    return text
