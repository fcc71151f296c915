"""Where tests lie: the first folder says what a test needs, the others mirror the package.

``unit`` needs Python only, ``integration`` a server, ``system`` processes of the product.
``contract`` compares two commits.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "monitor"
PLACES = ("unit", "integration", "system")
BESIDES_THE_PACKAGE = {"demo", "deployment", "docs", "faults", "installation", "package", "soak", "support"}
"""Folders of tests for what is not in `monitor`: documents, manifests, tools, distribution, servers of the tests."""


def test_every_test_says_by_its_folder_what_it_needs() -> None:
    """No test lies outside of the places."""
    lost = [path for path in TESTS.rglob("test_*.py") if path.relative_to(TESTS).parts[0] not in (*PLACES, "contract")]
    assert lost == []


def test_the_folders_mirror_the_package() -> None:
    """Below each place, a folder is a package of `monitor`, or in the list above."""
    for place in PLACES:
        for path in (TESTS / place).rglob("test_*.py"):
            folder = path.parent.relative_to(TESTS / place)
            mirrored = (PACKAGE / folder).is_dir() or str(folder) in BESIDES_THE_PACKAGE
            assert mirrored, f"{path.relative_to(TESTS)}: there is no monitor/{folder}"


def test_unit_tests_reach_no_server() -> None:
    """No module that unit tests import, however indirectly, is one that a server's or a role's fixture comes from."""
    servers = {module for place in PLACES[1:] for module in imported(TESTS / place / "conftest.py")}
    assert "tests.support.redis_server" in servers
    assert "tests.support.roles" in servers
    reached, waiting = set(), {module for path in (TESTS / "unit").rglob("*.py") for module in imported(path)}
    while waiting:
        reached |= waiting
        waiting = {module for name in waiting for module in imported(file_of(name))} - reached
    assert reached & servers == set()


def imported(path: Path) -> Iterator[str]:
    """The modules of `tests` that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
            package = str(node.module)
            for name in (f"{package}.{alias.name}" for alias in node.names):
                yield name if file_of(name).exists() else package
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tests."))


def file_of(module: str) -> Path:
    """The file of a module of `tests`, or of a package."""
    path = TESTS.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
