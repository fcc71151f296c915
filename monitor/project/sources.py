"""Sources of a project's facts: the environment variables and the files of code that the project has read.

As long as no source has changed, the facts that were read from them are valid.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from typing import Any


def record_variables() -> set[str]:
    """Return a set to which the name of each environment variable is added that this process reads from now on."""
    names: set[str] = set()
    environment: Any = type(os.environ)
    read = environment.__getitem__

    def read_and_record(self: Any, name: str) -> Any:
        names.add(name)
        return read(self, name)

    environment.__getitem__ = read_and_record
    return names


def encode(variables: set[str]) -> str:
    """Return these variables and the files of all imported modules, with their present state, as one line of text."""
    standard_library = sysconfig.get_path("stdlib") + os.sep
    packages = (sysconfig.get_path("purelib") + os.sep, sysconfig.get_path("platlib") + os.sep)
    files = {str(file) for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))}
    imported = [file for file in files if not file.startswith(standard_library) or file.startswith(packages)]
    return json.dumps(
        {
            "variables": (names := sorted(map(str, variables))),
            "values": _digest(names),
            "files": {file: _file_state(file) for file in sorted(imported)},
        }
    )


def are_unchanged(text: str) -> bool:
    """Return whether all sources in a text that `encode` returned have the state that they had then."""
    try:
        sources = json.loads(text)
        return bool(_digest(sources["variables"]) == sources["values"]) and all(
            _file_state(file) == state for file, state in sources["files"].items()
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _digest(names: list[str]) -> str:
    """Return one digest of the values of all variables: a digest of a single value would reveal a weak password."""
    values = [os.environ.get(name) for name in names]
    return hashlib.sha256(repr(values).encode(errors="surrogateescape")).hexdigest()


def _file_state(file: str) -> list[int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - many files
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size]
