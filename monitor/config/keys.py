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
from monitor.lib.redaction import is_secret_type

PREFIX = "MONITOR_"
SHORT_NAMES = {
    "MONITOR_HOST": ("web", "host"),
    "MONITOR_PORT": ("web", "port"),
    "MONITOR_ALLOWED_HOSTS": ("web", "allowed_hosts"),
    "DATABASE_URL": ("database_url",),
}
"""Second, shorter names of the environment variables of some settings.

If both are set, the long name is used: ``MONITOR_WEB__PORT`` overrides ``MONITOR_PORT``.
"""

TABLES: Mapping[str, type[BaseModel]] = {
    "checks": CheckSpec,
    "groups": GroupSpec,
    "channels": ChannelSpec,
    "maintenance": MaintenanceSpec,
}
"""Tables with named entries. Each entry is a table ``[TABLE.NAME]``, which the model validates."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class SettingKey:
    """A setting outside of ``TABLES``: its path of keys in a file, its path of attributes in a Config, its field."""

    path: Path
    attributes: Path
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """Return the key as messages show it, such as ``web.port``."""
        return ".".join(self.path)


@cache
def setting_keys() -> tuple[SettingKey, ...]:
    """Return all settings outside of ``TABLES``, in the order of their declaration."""
    return tuple(_keys_of(Settings, (), ()))


@cache
def _secret_settings() -> frozenset[Path]:
    return frozenset(key.path for key in setting_keys() if is_secret_type(key.field.annotation))


def is_secret_setting(path: Sequence[str]) -> bool:
    """Return whether the type of the setting at ``path`` is a secret, such as a token or a URL with a password."""
    return tuple(path) in _secret_settings()


@cache
def table_keys(table: str) -> dict[str, FieldInfo]:
    """Return the keys that every table ``[TABLE.NAME]`` may have, each with its field in the model.

    Options of a kind are not included. The key ``enabled`` of a check is not included, because it is no field.
    """
    return {key: field for key, (_, field) in _fields_by_key(table).items()}


def attribute(table: str, key: str) -> str:
    """Return the name of the model's attribute that a key sets, such as ``interval_seconds`` for ``interval``."""
    return _fields_by_key(table)[key][0]


def has_options(table: str) -> bool:
    """Return whether a table ``[TABLE.NAME]`` may have further keys: the options of its kind."""
    return "options" in TABLES[table].model_fields


@cache
def _fields_by_key(table: str) -> dict[str, tuple[str, FieldInfo]]:
    fields = {field.alias or name: (name, field) for name, field in _fields(TABLES[table])}
    return {key: field for key, field in fields.items() if key not in {"name", "options"}}


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Return the fields that a model declares, followed by the fields that it inherits."""
    declared = inspect.get_annotations(model)
    return sorted(model.model_fields.items(), key=lambda field: field[0] not in declared)


COMMON_CHECK_KEYS = frozenset({*table_keys("checks"), "enabled"})
"""Keys that all ``[checks.NAME]`` tables may have. Any other key is an option of the kind of check."""

COMMON_CHANNEL_KEYS = frozenset(table_keys("channels"))
"""Keys that all ``[channels.NAME]`` tables may have. Any other key is an option of the kind of channel."""


def environment_name(path: Sequence[str]) -> str:
    """Return the environment variable of the key at ``path``."""
    return PREFIX + "__".join(part.upper() for part in path)


def known_children(path: Path) -> frozenset[str] | None:
    """Return the keys that are permitted below ``path``, or None if any key is permitted there."""
    if path and path[0] in TABLES:
        return frozenset(table_keys(path[0])) if len(path) == 2 and not has_options(path[0]) else None
    children = {
        key.path[len(path)] for key in setting_keys() if len(key.path) > len(path) and key.path[: len(path)] == path
    }
    if not path:
        children |= set(TABLES)
    return frozenset(children) or None


def suggest_path(path: Path) -> Path | None:
    """Return the key of the setting that is most similar to the unknown key ``path``, or None if none is similar."""
    keys = [key.path for key in setting_keys()]
    for key in keys:  # a known key in the wrong table, or a variable with one underscore instead of two
        if key[-1] == path[-1] or "_".join(key) == "_".join(path):
            return key
    by_last_part = {key[-1]: key for key in reversed(keys)}
    siblings = known_children(path[:-1]) or frozenset()
    if difflib.get_close_matches(path[-1], siblings, n=1):
        [closest] = difflib.get_close_matches(path[-1], {*siblings, *by_last_part}, n=1)
        return (*path[:-1], closest) if closest in siblings else by_last_part[closest]
    by_dotted_key = {".".join(key): key for key in keys}
    matches = difflib.get_close_matches(".".join(path), by_dotted_key, n=1)
    if matches:
        return by_dotted_key[matches[0]]
    matches = difflib.get_close_matches(path[-1], by_last_part, n=1)
    return by_last_part[matches[0]] if matches else None


def _keys_of(model: type[BaseModel], path: Path, attributes: Path) -> Iterator[SettingKey]:
    for name, field in _fields(model):
        field_path, field_attributes = (*path, field.alias or name), (*attributes, name)
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from _keys_of(field.annotation, field_path, field_attributes)
        else:
            yield SettingKey(field_path, field_attributes, field)
