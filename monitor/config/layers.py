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

DJANGO_LABEL = "settings.MONITOR"
PROJECT_LABEL = "the project's Celery settings"


@dataclass
class Layer:
    """Values of one source, and the problems of this source.

    ``origins`` maps the dotted key of each value and of each table to the name of the source. ``readable`` is False if
    a file exists and cannot be read, or if a required file is missing.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    readable: bool = True

    def put(self, path: tuple[str, ...], value: Any, label: str) -> None:
        """Set ``value`` at ``path``. ``label`` is the origin. Create the tables on the path if they are missing."""
        table = self.values
        for end, part in enumerate(path[:-1], 1):
            if not isinstance(table.get(part), dict):
                table[part] = {}
            table = table[part]
            self.origins[".".join(path[:end])] = label
        table[path[-1]] = value
        self.origins[".".join(path)] = label
        if isinstance(value, dict):
            self.origins.update(dict.fromkeys(_dotted_keys(value, ".".join(path) + "."), label))


def read_file(path: Path, label: str, named_by: str | None) -> Layer:
    """Return the layer of a TOML file. ``label`` is the origin of its values.

    ``named_by`` describes what named the file, such as an environment variable. A missing file is a problem unless
    ``named_by`` is None.
    """
    try:
        text = path.read_bytes().decode()
        return _layer(tomllib.loads(text), label)
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
        return Layer(readable=False, problems=[problem([str(path)], NO_VALUE, f"is not TOML: {hint}", label)])
    return Layer(readable=False, problems=[problem([named_by or label], str(path), hint, named_by)])


def read_mapping(values: Any, label: str = DJANGO_LABEL) -> Layer:
    """Return the layer of a dict, such as ``settings.MONITOR``. ``label`` is the origin of its values."""
    if not isinstance(values, Mapping):
        return Layer(problems=[problem([label], values, "should be a dict", label)])
    return _layer(values, label)


def _layer(values: Mapping[Any, Any], label: str) -> Layer:
    layer = Layer()
    layer.values = _keep_known(values, (), label, layer.problems)
    layer.origins = dict.fromkeys(_dotted_keys(layer.values), label)
    return layer


def _keep_known(
    table: Mapping[Any, Any], path: tuple[str, ...], label: str, problems: list[ConfigProblem]
) -> dict[str, Any]:
    """Return a copy of ``table`` with the known keys only. Add a problem to ``problems`` for each unknown key."""
    known, kept = known_children(path), {}
    for key, value in table.items():
        key_path = (*path, str(key))
        if not isinstance(key, str):
            problems.append(problem(key_path, value, "the key should be a text", label))
        elif known is not None and key not in known:
            suggestion = suggest_path(key_path)
            problems.append(unknown_key(key_path, value, known, label, ".".join(suggestion) if suggestion else None))
        else:
            kept[key] = _keep_known(value, key_path, label, problems) if isinstance(value, Mapping) else value
    return kept


def _dotted_keys(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted_keys(value, f"{prefix}{key}.")
