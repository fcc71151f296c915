"""What can be plugged in by one file: classes found under a name, with options that are their fields.

One mechanism for the kinds of checks and the channels of alerts: each is a frozen dataclass in the file of its
name in one package, or comes from another distribution by an entry point.
"""

from __future__ import annotations

import dataclasses
import importlib
import logging
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from pydantic_core import CoreConfig, SchemaValidator

logger = logging.getLogger(__name__)

P = TypeVar("P")
Q = TypeVar("Q")


class UnknownPlugin(LookupError):
    """There is nothing of that name; ``known`` lists what there is."""

    def __init__(self, what: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown {what} {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


class Registry(Generic[P]):
    """The classes of one sort: those in the files of a package, and those of an entry point group.

    ``what`` is the word for one of them in errors. ``besides`` are the package's modules that hold none;
    a module whose name begins with an underscore never does.
    """

    def __init__(self, what: str, package: str, group: str) -> None:
        self.known: dict[str, type[P]] = {}
        self._what = what
        self._package = package
        self._group = group
        self._validators: dict[type[P], SchemaValidator] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[type[Q]], type[Q]]:
        """Class decorator: makes a class known under ``name``. Raises ValueError when the name is taken."""

        def decorate(cls: type[Any]) -> type[Any]:
            known = self.known.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"{self._what} {name!r} is {known.__module__}.{known.__qualname__} already")
            cls.name = name
            self.known[name] = cls
            return cls

        return decorate

    def names(self) -> tuple[str, ...]:
        """All of them, sorted."""
        self._load_all()
        return tuple(sorted(self.known))

    def find(self, name: str) -> type[P]:
        """The class of that name. Raises :class:`Unknown`."""
        if name not in self.known and name in self._modules():
            importlib.import_module(f"{self._package}.{name}")
        if name not in self.known:
            self._load_all()
        try:
            return self.known[name]
        except KeyError:
            raise UnknownPlugin(self._what, name, self.names()) from None

    def build(self, name: str, options: Mapping[str, Any]) -> P:
        """One with its options. Raises :class:`Unknown`, or pydantic's ValidationError with all that is wrong."""
        return self.validated(self.find(name), options)

    def fields(self, name: str) -> tuple[dataclasses.Field[Any], ...]:
        """The options, as fields. Raises :class:`Unknown`."""
        cls: Any = self.find(name)
        return dataclasses.fields(cls)

    def option_names(self, name: str) -> tuple[str, ...]:
        """The names of the options. Raises :class:`Unknown`."""
        return tuple(field.name for field in self.fields(name))

    def validated(self, cls: type[P], options: Mapping[str, Any]) -> P:
        """One of that class, which need not be registered. Raises a ValidationError without the values in its text."""
        built: P = self.validator(cls).validate_python(dict(options))
        return built

    def validator(self, cls: type[P]) -> SchemaValidator:
        """What checks the options of that class; built once."""
        if cls not in self._validators:
            # A TypeAdapter cannot be told to hide the input of a dataclass, which may be a password.
            schema = TypeAdapter(cls).core_schema
            self._validators[cls] = SchemaValidator(schema, CoreConfig(hide_input_in_errors=True))
        return self._validators[cls]

    def _modules(self) -> frozenset[str]:
        found = {module.name for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__)}
        return frozenset(name for name in found if not name.startswith("_"))

    def _load_all(self) -> None:
        if self._complete:
            return
        for module in self._modules():
            importlib.import_module(f"{self._package}.{module}")
        for entry in entry_points(group=self._group):
            try:
                entry.load()
            except Exception:
                # Somebody else's package: without it what it has is unknown, and the others work.
                logger.exception("cannot load %s of the entry points %s", entry.value, self._group)
        self._complete = True


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """The JSON schema of each option."""
    properties: dict[str, Any] = TypeAdapter(cls).json_schema().get("properties", {})
    return properties
