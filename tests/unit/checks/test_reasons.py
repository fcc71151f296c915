"""Reason codes: each one that the code can give is explained, in its kind's reference or in the docs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.checks import failures as network_failures
from monitor.checks.kafka import failures
from monitor.checks.kinds import django_health_check
from monitor.checks.registry import KINDS
from monitor.model.checks import QueueVerdict, Reason, WorkerVerdict
from monitor.policy.consumer_groups.reasons import MISSING, GroupProblem, GroupReason
from monitor.policy.workers.verdicts import WorkerReason

ROOT = Path(__file__).parents[3]
DOCS = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
REASONS = {name: KINDS.find(name).reasons for name in KINDS.names()}
REASON_ARGUMENT = {"CheckFailed": 0, "Outcome": 2, "Verdict": 1, "Reading": 1}
"""Which argument of what is constructed with a reason is the reason."""


def literals(path: Path) -> Iterator[str]:
    """Yield the reason codes that a module writes where it gives them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        given = {each.arg: each.value for each in node.keywords}.get("reason")
        place = REASON_ARGUMENT.get(node.func.id)
        if place is not None and len(node.args) > place:
            given = node.args[place]
        if place is not None and isinstance(given, ast.Constant) and isinstance(given.value, str):
            yield given.value


def test_a_reason_that_a_module_gives_is_explained() -> None:
    """A kind's own are in its reference; those of modules that kinds share are in some kind's, or in the docs."""
    shared = {code for reasons in REASONS.values() for code in reasons}
    unexplained = [
        (path.name, code)
        for path in (ROOT / "monitor").rglob("*.py")
        for code in literals(path)
        if (code not in REASONS[path.stem] if is_kind(path) else code not in shared and f"`{code}`" not in DOCS)
    ]
    assert unexplained == []


def is_kind(path: Path) -> bool:
    """Whether a module is that of a kind."""
    return path.parent.name == "kinds" and path.stem in REASONS


@pytest.mark.parametrize("codes", [Reason, WorkerReason, WorkerVerdict, QueueVerdict], ids=lambda codes: codes.__name__)
def test_a_reason_that_several_modules_share_is_in_the_docs(codes: type[Reason]) -> None:
    """They are no kind's, so that no reference lists them."""
    assert [code for code in codes if f"`{code}`" not in DOCS] == []


def test_each_reason_of_a_consumer_group_has_a_text() -> None:
    """In the reference of the kind `kafka_group`, whoever gives it: the judge, the brokers or Prometheus."""
    codes = {code for _, code in (*failures._BY_CLASS, *failures._BY_TEXT)}
    assert {*GroupReason, *GroupProblem, MISSING, *codes} <= {*REASONS["kafka_group"]}


def test_each_reason_of_a_failure_has_a_text() -> None:
    """Of the network, and of a check of django-health-check."""
    assert {code for _, code in network_failures._REASONS} <= {*network_failures.NETWORK_REASONS}
    assert {*django_health_check._REASONS.values()} <= {*REASONS["django_health_check"]}
