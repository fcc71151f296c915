"""Layers of a configuration. A layer has the values of one source: a file, or a dict in the project's settings.

The module `environment` reads the layer of the environment variables.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.config.errors import NO_VALUE, ConfigProblem, problem, unknown_key
from monitor.config.keys import known_children, suggest_path

DJANGO_ORIGIN = "settings.MONITOR"
CELERY_ORIGIN = "the project's Celery settings"
PROJECT_ORIGIN = "the project's settings"


@dataclass
class Layer:
    """Values of one source, and the problems of this source.

    ``origins`` maps the dotted key of each value and of each table to its origin: the name of the source, as messages
    show it. In the layer of the environment, each variable is an origin of its own. ``readable`` is False if a file
    exists and cannot be read, or if a required file is missing.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    readable: bool = True

    def put(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        """Set ``value`` at ``path``, and store its origin. Create the tables on the path if they are missing."""
        table = self.values
        for end, part in enumerate(path[:-1], 1):
            if not isinstance(table.get(part), dict):
                table[part] = {}
            table = table[part]
            self.origins[".".join(path[:end])] = origin
        table[path[-1]] = value
        self.origins[".".join(path)] = origin
        if isinstance(value, dict):
            self.origins.update(dict.fromkeys(_dotted_keys(value, ".".join(path) + "."), origin))


def read_file(path: Path, origin: str, named_by: str | None) -> Layer:
    """Return the layer of a TOML file.

    ``named_by`` is the source of the path, such as an environment variable. It is None for the default path, where the
    file may be missing.
    """
    try:
        text = path.read_bytes().decode()
        return _layer(tomllib.loads(text), origin)
    except FileNotFoundError:
        if named_by is None:
            return Layer()
        hint = "the file does not exist"
    except OSError as error:
        hint = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        hint = f"is not UTF-8 (byte {error.start})"
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"^(.*) \(at (.*)\)$", str(error))
        *_, last_line = lines = text.rstrip("\n").split("\n")
        end = f"line {len(lines)}, column {len(last_line) + 1}"
        hint = f"{match[2].replace('end of document', end)}: {match[1]}" if match else str(error)
        return Layer(readable=False, problems=[problem([str(path)], NO_VALUE, f"is not TOML: {hint}", origin)])
    return Layer(readable=False, problems=[problem([named_by or origin], str(path), hint, named_by)])


def read_mapping(values: Any, origin: str = DJANGO_ORIGIN) -> Layer:
    """Return the layer of a dict, such as ``settings.MONITOR``."""
    if not isinstance(values, Mapping):
        return Layer(problems=[problem([origin], values, "should be a dict", origin)])
    return _layer(values, origin)


def _layer(values: Mapping[Any, Any], origin: str) -> Layer:
    layer = Layer()
    layer.values = _keep_known(values, (), origin, layer.problems)
    layer.origins = dict.fromkeys(_dotted_keys(layer.values), origin)
    return layer


def _keep_known(
    table: Mapping[Any, Any], path: tuple[str, ...], origin: str, problems: list[ConfigProblem]
) -> dict[str, Any]:
    """Return a copy of ``table`` with the known keys only. Add a problem to ``problems`` for each unknown key."""
    known, kept = known_children(path), {}
    for key, value in table.items():
        key_path = (*path, str(key))
        if not isinstance(key, str):
            problems.append(problem(key_path, value, "the key should be a text", origin))
        elif known is not None and key not in known:
            suggestion = suggest_path(key_path)
            problems.append(unknown_key(key_path, value, known, origin, ".".join(suggestion) if suggestion else None))
        else:
            kept[key] = _keep_known(value, key_path, origin, problems) if isinstance(value, Mapping) else value
    return kept


def _dotted_keys(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted_keys(value, f"{prefix}{key}.")
