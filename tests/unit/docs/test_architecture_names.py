"""The modules, classes and functions that the pages about the architecture name exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import monitor

ROOT = Path(monitor.__file__).parent.parent
PAGES = ("docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md")

TEXT = "\n".join((ROOT / page).read_text() for page in PAGES)
NO_MODULES = {"monitor.tasks.dispatch", "monitor.tasks.run_check", "monitor.tasks.alert", "monitor.kinds"}
"""Names of tasks, and of a group of entry points."""
NAMES = sorted(set(re.findall(r"`(monitor(?:\.\w+)+)`", TEXT)) - NO_MODULES)
FILES = sorted(path for path in set(re.findall(r"`(monitor/[\w/]+\.py)`", TEXT)) if "NAME" not in path)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_exists(name: str) -> None:
    """It is a package, a module, or something that a module defines or imports."""
    path, rest = ROOT, name.split(".")
    while rest and ((path / rest[0]).is_dir() or (path / f"{rest[0]}.py").exists()):
        path /= rest.pop(0)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert not rest or _defines(ast.parse(file.read_text()).body, rest), name


@pytest.mark.parametrize("path", FILES)
def test_a_file_exists(path: str) -> None:
    """It is the path of a module."""
    assert (ROOT / path).is_file()


def _defines(body: list[ast.stmt], names: list[str]) -> bool:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == names[0]:
            return len(names) == 1 or (isinstance(node, ast.ClassDef) and _defines(node.body, names[1:]))
        if isinstance(node, ast.ImportFrom) and names[0] in {one.asname or one.name for one in node.names}:
            return len(names) == 1
    return False
