"""Tests of the table of extras: it names what `pyproject.toml` installs."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from monitor.cli.commands import COMMANDS, NEEDS, SUGGESTED
from monitor.lib import extras

ROOT = Path(__file__).parents[3]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FORMER = {"alerts": "apprise"}


@pytest.mark.parametrize("extra", extras.MODULES)
def test_the_modules_are_those_of_the_declared_distributions(extra: str) -> None:
    """Each distribution of an extra has its module in the table, and no module comes from elsewhere."""
    distributions = {name(requirement) for requirement in DECLARED[extra] if not own(requirement)}
    of_module = packages_distributions()
    modules = {
        module: {each.lower().replace("_", "-") for each in of_module[module]} for module in extras.MODULES[extra]
    }
    if extra == "hiredis":
        distributions = {"hiredis"}  # chosen by redis-py's own extra
    assert distributions == {each for found in modules.values() for each in found & distributions}
    assert all(found & distributions for found in modules.values())


def test_every_declared_extra_is_in_the_table() -> None:
    """A former name is an alias, and the included extras are the declared ones."""
    assert set(DECLARED) == {*extras.MODULES, *FORMER}
    included = {extra: own(each) for extra, found in DECLARED.items() for each in found if own(each)}
    assert included == extras.INCLUDED | FORMER


def test_commands_need_declared_extras() -> None:
    """The tables of the commands name commands and extras that exist."""
    assert {*NEEDS, *SUGGESTED} <= set(COMMANDS)
    assert {extra for extra in (*NEEDS.values(), *SUGGESTED.values()) if extra} <= set(DECLARED)


def test_an_included_extra_is_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's extra includes that of the roles, and the text names the one that was asked for."""
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert extras.missing("kafka") == ("pydantic",)
    with pytest.raises(extras.MissingExtra, match=r"pip install 'celery-health-monitor\[kafka\]'") as raised:
        extras.require("kafka", "monitor sidecar")
    assert raised.value.name == "pydantic"
    assert isinstance(raised.value, ImportError)


def test_a_folder_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `apprise` in the working directory does not count as the library."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (tmp_path / "apprise").mkdir()
    monkeypatch.delitem(sys.modules, "apprise", raising=False)
    assert extras.missing("apprise") == ("apprise",)


@pytest.mark.parametrize(
    ("scheme", "modules", "extra"),
    [
        ("postgresql", ("psycopg", "psycopg2"), "postgres"),
        ("postgis", ("psycopg", "psycopg2"), "postgres"),
        ("mysql", ("MySQLdb", "pymysql"), "mysql"),
        ("sqlite", (), None),
        ("postgres", (), None),
    ],
)
def test_the_driver_of_a_database(
    monkeypatch: pytest.MonkeyPatch, scheme: str, modules: tuple[str, ...], extra: str | None
) -> None:
    """Any driver that Django can use counts."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    assert extras.missing_driver(scheme) == extra


def name(requirement: str) -> str:
    """Return the name of a requirement's distribution."""
    return re.split(r"[\[<>=!]", requirement)[0].lower()


def own(requirement: str) -> str | None:
    """Return the extra of this distribution that a requirement names."""
    found = re.fullmatch(rf"{extras.DISTRIBUTION}\[(\w+)\]", requirement)
    return found[1] if found else None
