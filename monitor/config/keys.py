"""Keys that a configuration may have, and their environment variables."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.model import CheckSpec, GroupSpec
from monitor.config.settings import Settings

PREFIX = "MONITOR_"
SHORT_NAMES = {
    "MONITOR_HOST": ("web", "host"),
    "MONITOR_PORT": ("web", "port"),
    "MONITOR_ALLOWED_HOSTS": ("web", "allowed_hosts"),
    "DATABASE_URL": ("database_url",),
}
"""Additional environment variables. The systematic names override them."""

TABLES: Mapping[str, type[BaseModel]] = {
    "checks": CheckSpec,
    "groups": GroupSpec,
    "channels": ChannelSpec,
    "maintenance": MaintenanceSpec,
}
"""Tables of named entries, each with one table ``[TABLE.NAME]``."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class SettingKey:
    """A setting: its path in a file, its path of attributes in a Config, and its field."""

    path: Path
    attributes: Path
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """Return the key as in files and messages, such as ``web.port``."""
        return ".".join(self.path)


@cache
def setting_keys() -> tuple[SettingKey, ...]:
    """Return all settings outside of the roster, in the order of their declaration."""
    return tuple(_keys_of(Settings, (), ()))


@cache
def table_keys(table: str) -> dict[str, FieldInfo]:
    """Return the keys of a table ``[TABLE.NAME]``, without options of kinds and without a check's ``enabled``."""
    return {key: field for key, (_, field) in _table(table).items()}


def attribute(table: str, key: str) -> str:
    """Return the field name that the key of a table has in the table's model."""
    return _table(table)[key][0]


def has_options(table: str) -> bool:
    """Return whether unknown keys of the table are options of a kind."""
    return "options" in TABLES[table].model_fields


@cache
def _table(table: str) -> dict[str, tuple[str, FieldInfo]]:
    fields = {field.alias or name: (name, field) for name, field in _fields(TABLES[table])}
    return {key: field for key, field in fields.items() if key not in {"name", "options"}}


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Return a model's own fields and then its inherited ones, so that the specific keys of a table are first."""
    own = inspect.get_annotations(model)
    return sorted(model.model_fields.items(), key=lambda field: field[0] not in own)


COMMON_CHECK_KEYS = frozenset({*table_keys("checks"), "enabled"})
"""Keys of all ``[checks.NAME]`` tables; any other key is an option of the kind."""

COMMON_CHANNEL_KEYS = frozenset(table_keys("channels"))
"""Keys of all ``[channels.NAME]`` tables; any other key is an option of the kind."""


def environment_name(path: Sequence[str]) -> str:
    """Return the environment variable of the key at ``path``."""
    return PREFIX + "__".join(part.upper() for part in path)


def known_children(path: Path) -> frozenset[str] | None:
    """Return the keys that are permitted below ``path``; None if keys below it are not validated."""
    if path and path[0] in TABLES:
        return frozenset(table_keys(path[0])) if len(path) == 2 and not has_options(path[0]) else None
    below = {
        key.path[len(path)] for key in setting_keys() if len(key.path) > len(path) and key.path[: len(path)] == path
    }
    if not path:
        below |= set(TABLES)
    return frozenset(below) or None


def suggest_path(path: Path) -> Path | None:
    """Return the setting that the unknown key ``path`` most likely means, or None."""
    keys = [key.path for key in setting_keys()]
    for key in keys:  # in the wrong table, or with one underscore instead of two
        if key[-1] == path[-1] or "_".join(key) == "_".join(path):
            return key
    last = {key[-1]: key for key in reversed(keys)}
    siblings = known_children(path[:-1]) or frozenset()
    if difflib.get_close_matches(path[-1], siblings, n=1):
        [closest] = difflib.get_close_matches(path[-1], {*siblings, *last}, n=1)
        return (*path[:-1], closest) if closest in siblings else last[closest]
    dotted = {".".join(key): key for key in keys}
    close = difflib.get_close_matches(".".join(path), dotted, n=1)
    if close:
        return dotted[close[0]]
    close = difflib.get_close_matches(path[-1], last, n=1)
    return last[close[0]] if close else None


def _keys_of(model: type[BaseModel], path: Path, attributes: Path) -> Iterator[SettingKey]:
    for name, field in _fields(model):
        here, attribute = (*path, field.alias or name), (*attributes, name)
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from _keys_of(field.annotation, here, attribute)
        else:
            yield SettingKey(here, attribute, field)
