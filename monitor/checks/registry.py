"""Which kinds there are: the files of this package, and what others ship under the entry point ``monitor.kinds``."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import CoreConfig, SchemaValidator

import monitor.checks
from monitor.checks.base import Kind

logger = logging.getLogger(__name__)

_KINDS: dict[str, type[Kind]] = {}
_VALIDATORS: dict[type[Kind], SchemaValidator] = {}
_NOT_KINDS = {"base", "process", "registry"}
K = TypeVar("K", bound=type[Kind])


class UnknownKind(LookupError):
    """There is no kind of that name; ``known`` lists those there are."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown kind {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


def register(name: str) -> Callable[[K], K]:
    """Class decorator: makes a :class:`Kind` known under ``name``. Raises ValueError when the name is taken."""

    def decorate(cls: K) -> K:
        known = _KINDS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"kind {name!r} is {known.__module__}.{known.__qualname__} already")
        cls.name = name
        _KINDS[name] = cls
        return cls

    return decorate


def names() -> tuple[str, ...]:
    """All kinds, sorted."""
    _load_all()
    return tuple(sorted(_KINDS))


def find(name: str) -> type[Kind]:
    """The class of a kind. Raises :class:`UnknownKind`."""
    if name not in _KINDS and name in _modules():
        importlib.import_module(f"monitor.checks.{name}")
    if name not in _KINDS:
        _load_all()
    try:
        return _KINDS[name]
    except KeyError:
        raise UnknownKind(name, names()) from None


def build(name: str, options: Mapping[str, Any]) -> Kind:
    """A kind with its options. Raises :class:`UnknownKind`, or pydantic's ValidationError with all that is wrong."""
    return validated(find(name), options)


def option_names(name: str) -> tuple[str, ...]:
    """The options of a kind. Raises :class:`UnknownKind`."""
    return tuple(field.name for field in dataclasses.fields(find(name)))


def configured_options(name: str) -> dict[str, str]:
    """The options of a kind that the configuration fills when the check does not: option -> key of the configuration.

    Raises :class:`UnknownKind`.
    """
    fields = dataclasses.fields(find(name))
    return {field.name: field.metadata["config"] for field in fields if "config" in field.metadata}


def validated(cls: type[Kind], options: Mapping[str, Any]) -> Kind:
    """A kind of that class, which need not be registered. Raises a ValidationError without the values in its text."""
    kind: Kind = _validator(cls).validate_python(dict(options))
    return kind


def warm_up(name: str) -> None:
    """Import a kind and build its validator, which else is part of its first run's response time."""
    _validator(find(name))


def schema(cls: type[Kind]) -> dict[str, Any]:
    """The JSON schema of each option."""
    properties: dict[str, Any] = TypeAdapter(cls).json_schema()["properties"]
    return properties


def _validator(cls: type[Kind]) -> SchemaValidator:
    if cls not in _VALIDATORS:
        # A TypeAdapter cannot be told to hide the input of a dataclass, which may be a password.
        _VALIDATORS[cls] = SchemaValidator(TypeAdapter(cls).core_schema, CoreConfig(hide_input_in_errors=True))
    return _VALIDATORS[cls]


def _modules() -> frozenset[str]:
    found = {module.name for module in pkgutil.iter_modules(monitor.checks.__path__)}
    return frozenset(name for name in found - _NOT_KINDS if not name.startswith("_"))


@functools.cache
def _load_all() -> None:
    for module in _modules():
        importlib.import_module(f"monitor.checks.{module}")
    for entry in entry_points(group="monitor.kinds"):
        try:
            entry.load()
        except Exception:
            # Somebody else's package: without it its kinds are unknown, and the others work.
            logger.exception("cannot load the kinds of %s", entry.value)
