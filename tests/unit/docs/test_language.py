"""The language rules hold everywhere, and the tool finds what breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import language
from tests.support.language import violations


def test_the_rules_hold_everywhere() -> None:
    """`python -m tests.support.language` prints no violation."""
    assert [str(one) for one in violations()] == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param('def f():\n    """Of a check."""\n', ["Of"], id="a docstring that opens with Of"),
        pytest.param('class A:\n    """Whether it is."""\n', ["Whether"], id="a class's docstring"),
        pytest.param('def f():\n    """Return whether it is."""\n', [], id="a docstring that opens with a verb"),
        pytest.param("def f(told_at): ...\n", ["told"], id="an argument"),
        pytest.param("class LastSight:\n    seen_at: float\n", ["seen", "sight"], id="a class and its field"),
        pytest.param("def sighs(): ...\n", [], id="a word inside a word"),
        pytest.param("f(description='what nobody asked, but `told`')\n", ["asked", "nobody"], id="a description"),
        pytest.param("import monitor.store as shop\n", ["shop"], id="an alias for an own module"),
        pytest.param("from monitor import store as shop\n", ["shop"], id="an alias for a module of a package"),
        pytest.param("from monitor.store import Store as Shop\n", [], id="an alias for a class"),
    ],
)
def test_what_the_tool_finds_in_code(
    source: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule for code finds its violation, and nothing else."""
    (tmp_path / "monitor" / "store").mkdir(parents=True)
    (tmp_path / "monitor" / "example.py").write_text(source)
    monkeypatch.setattr(language, "ROOT", tmp_path)
    assert sorted(one.word for one in violations(["monitor"])) == sorted(words)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("one\n\nwho was told\n", [3], id="prose"),
        pytest.param("`told` and ``told``\n", [], id="inline code"),
        pytest.param("```sh\necho told\n```\ntold\n", [4], id="a block of code keeps its lines"),
        pytest.param("[page](told.md)\n", [], id="the target of a link"),
        pytest.param("<!-- recorded: x -->\ntold\n<!-- end -->\ntold\n", [4], id="a recorded outcome"),
        pytest.param("a dead man's switch\na dead man\n", [2], id="a phrase that a longer one allows"),
        pytest.param("a whole number\nwhole\nnumbers\nthe whole\n", [4], id="a number that is whole"),
        pytest.param("in-house, retold, foreseen\n", [], id="a word inside a word"),
    ],
)
def test_what_the_tool_finds_in_prose(
    text: str, lines: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words are found in prose with their line, and not in code."""
    (tmp_path / "README.md").write_text(text)
    monkeypatch.setattr(language, "ROOT", tmp_path)
    assert [one.line for one in violations(["README.md"])] == lines


def test_two_public_classes_of_one_name_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places are named; a private class may share its name."""
    (tmp_path / "monitor").mkdir()
    for name in ("one", "two"):
        (tmp_path / "monitor" / f"{name}.py").write_text("class Verdict: ...\nclass _Private: ...\n")
    monkeypatch.setattr(language, "ROOT", tmp_path)
    assert [str(found) for found in violations(["monitor"])] == [
        "monitor/one.py:1: Verdict: the name of a public class is unique; also in monitor/two.py",
        "monitor/two.py:1: Verdict: the name of a public class is unique; also in monitor/one.py",
    ]
