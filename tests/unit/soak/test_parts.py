"""`make soak ARGS="NAME..."` runs the named parts and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from soak import parts
from soak.cases import CASES

ROOT = Path(__file__).parents[3]
NAMES = [part.name for part in parts.PARTS]


def test_without_names_every_part() -> None:
    """In the order of the table, with all cases."""
    assert [(part.name, cases) for part, cases in parts.selected([])] == [(name, ()) for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_a_part_alone(name: str) -> None:
    """Nothing else is run."""
    assert [(part.name, cases) for part, cases in parts.selected([name])] == [(name, ())]


def test_several_parts() -> None:
    """Each once, in the order of the table."""
    assert [part.name for part, _ in parts.selected(["stacks", "poison", "poison"])] == ["poison", "stacks"]


@pytest.mark.parametrize("case", [case.name for case in CASES])
def test_a_case_of_the_faults(case: str) -> None:
    """On either Celery, and no other part."""
    found = parts.selected([case])
    assert [(part.name, cases) for part, cases in found] == [("faults", (case,)), ("faults-5.4", (case,))]
    assert [part.command(cases=cases)[-1] for part, cases in found] == [case, case]


def test_a_case_beside_a_part() -> None:
    """The case, and the part."""
    found = parts.selected(["killed-solo", "poison"])
    assert [part.name for part, _ in found] == ["faults", "faults-5.4", "poison"]


def test_an_unknown_name_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The command exits with 2 and runs nothing."""
    with pytest.raises(SystemExit) as ended:
        parts.main(["poison", "posion"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "no such part: posion" in told
    assert all(name in told for name in [*NAMES, "killed-solo"])


def test_commands_have_what_was_asked() -> None:
    """Interpreter, minutes, and where the outcome is kept."""
    commands = {part.name: part.command(minutes="7", record=True)[1:] for part in parts.PARTS}
    assert commands["faults-5.4"] == ["-m", "soak", "--python", parts.OLD_PYTHON, "--record", "faults-5.4"]
    assert commands["changing"] == ["-m", "soak", "--changing", "7", "--record", "changing"]
    assert commands["poison"] == ["-m", "soak.poison", "--record"]


def test_the_documentation_lists_every_part() -> None:
    """`docs/soak.md` and the Makefile name what can be run."""
    document, makefile = (ROOT / "docs" / "soak.md").read_text(), (ROOT / "Makefile").read_text()
    listed = re.findall(r"^\| `([a-z0-9.-]+)` \|", document, re.MULTILINE)
    assert listed == NAMES
    assert "-m soak.parts" in makefile
