"""Layers of a configuration: the values of one source, a file or a dict in the project's settings.

The layer of environment variables is in `environment`.
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
    """Values of one source, with the ``origins`` of their dotted keys (tables included), and the problems found."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    readable: bool = True

    def put(self, path: tuple[str, ...], value: Any, label: str) -> None:
        """Set ``value`` at ``path``. Tables on the path are created."""
        table = self.values
        for end, part in enumerate(path[:-1], 1):
            if not isinstance(table.get(part), dict):
                table[part] = {}
            table = table[part]
            self.origins[".".join(path[:end])] = label
        table[path[-1]] = value
        self.origins[".".join(path)] = label
        if isinstance(value, dict):
            self.origins.update(dict.fromkeys(_dotted(value, ".".join(path) + "."), label))


def read_file(path: Path, label: str, named_by: str | None) -> Layer:
    """Return the layer of a TOML file. A missing file is a problem unless ``named_by`` is None."""
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
        last = text.rstrip("\n").rpartition("\n")
        end = f"line {last[0].count(chr(10)) + 1 + bool(last[1])}, column {len(last[2]) + 1}"
        hint = f"{match[2].replace('end of document', end)}: {match[1]}" if match else str(error)
        return Layer(readable=False, problems=[problem([str(path)], NO_VALUE, f"is not TOML: {hint}", label)])
    return Layer(readable=False, problems=[problem([named_by or label], str(path), hint, named_by)])


def read_mapping(values: Any, label: str = DJANGO_LABEL) -> Layer:
    """Return the layer of a dict, such as ``settings.MONITOR``."""
    if not isinstance(values, Mapping):
        return Layer(problems=[problem([label], values, "should be a dict", label)])
    return _layer(values, label)


def _layer(values: Mapping[Any, Any], label: str) -> Layer:
    layer = Layer()
    layer.values = _keep_known(values, (), label, layer.problems)
    layer.origins = dict.fromkeys(_dotted(layer.values), label)
    return layer


def _keep_known(
    table: Mapping[Any, Any], path: tuple[str, ...], label: str, problems: list[ConfigProblem]
) -> dict[str, Any]:
    """Return a copy with the known keys. The other keys become problems."""
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


def _dotted(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
