"""Registry of plugins: classes that are found by name, and whose fields are their options.

There is one registry for the kinds of checks and one for the kinds of channels. A plugin is a frozen dataclass. It is
in a module of its name in one package, or in another distribution that has an entry point for it.
"""

from __future__ import annotations

import dataclasses
import importlib
import logging
import pkgutil
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import CoreConfig, SchemaValidator

from monitor.lib.redaction import is_secret_type

logger = logging.getLogger(__name__)

P = TypeVar("P")
Q = TypeVar("Q")


class UnknownPlugin(LookupError):
    """No class is registered under ``name``. ``known`` lists the registered names."""

    def __init__(self, noun: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown {noun} {name!r}; known: {', '.join(known)}")
        self.name = name
        self.known = known


class Registry(Generic[P]):
    """Registry of the classes in the modules of ``package`` and in the entry points of ``group``.

    ``noun`` is the word for one class in error messages. Modules whose names begin with an underscore are not loaded.
    """

    def __init__(self, noun: str, package: str, group: str) -> None:
        self.known: dict[str, type[P]] = {}
        self._noun = noun
        self._package = package
        self._group = group
        self._validators: dict[type[P], SchemaValidator] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[type[Q]], type[Q]]:
        """Return a decorator that registers a class as ``name``. It raises ValueError if another class has the name."""

        def decorate(cls: type[Any]) -> type[Any]:
            other = self.known.get(name)
            if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"{self._noun} {name!r} is already {other.__module__}.{other.__qualname__}")
            cls.name = name
            self.known[name] = cls
            return cls

        return decorate

    def names(self) -> tuple[str, ...]:
        """Import all modules and entry points. Return all names, sorted."""
        self._load_all()
        return tuple(sorted(self.known))

    def find(self, name: str) -> type[P]:
        """Return the class of that name. Import its module if necessary. Raise :class:`UnknownPlugin`."""
        if name not in self.known and name in self._modules():
            importlib.import_module(f"{self._package}.{name}")
        if name not in self.known:
            self._load_all()
        try:
            return self.known[name]
        except KeyError:
            raise UnknownPlugin(self._noun, name, self.names()) from None

    def build(self, name: str, options: Mapping[str, Any]) -> P:
        """Return an instance with these options. Raise :class:`UnknownPlugin`, or ValidationError with all problems."""
        return self.validated(self.find(name), options)

    def fields(self, name: str) -> tuple[dataclasses.Field[Any], ...]:
        """Return the fields of the class of that name, one for each option. Raise :class:`UnknownPlugin`."""
        cls: Any = self.find(name)
        return dataclasses.fields(cls)

    def option_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the options of the class of that name. Raise :class:`UnknownPlugin`."""
        return tuple(field.name for field in self.fields(name))

    def secret_options(self, name: str) -> frozenset[str]:
        """Return the names of the options whose type is a secret. Raise :class:`UnknownPlugin`."""
        hints = get_type_hints(self.find(name), include_extras=True)
        return frozenset(option for option in self.option_names(name) if is_secret_type(hints[option]))

    def validated(self, cls: type[P], options: Mapping[str, Any]) -> P:
        """Return an instance of a class with these options. The class need not be registered.

        Raise ValidationError. Its text does not contain the values of the options.
        """
        instance: P = self.validator(cls).validate_python(dict(options))
        return instance

    def validator(self, cls: type[P]) -> SchemaValidator:
        """Return the validator of the options of a class. Build it at the first call only."""
        if cls not in self._validators:
            # Errors must not contain the input, which may be a password. TypeAdapter cannot hide it for a dataclass.
            schema = TypeAdapter(cls).core_schema
            self._validators[cls] = SchemaValidator(schema, CoreConfig(hide_input_in_errors=True))
        return self._validators[cls]

    def _modules(self) -> frozenset[str]:
        names = {module.name for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__)}
        return frozenset(name for name in names if not name.startswith("_"))

    def _load_all(self) -> None:
        if self._complete:
            return
        for module in self._modules():
            importlib.import_module(f"{self._package}.{module}")
        for entry in entry_points(group=self._group):
            try:
                entry.load()
            except Exception:
                # If another package cannot be loaded, only the classes of this package are missing.
                logger.exception("cannot load the entry point %s of the group %s", entry.value, self._group)
        self._complete = True


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of each option of a class, by the name of the option."""
    properties: dict[str, Any] = TypeAdapter(cls).json_schema().get("properties", {})
    return properties
