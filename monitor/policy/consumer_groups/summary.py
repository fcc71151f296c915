"""Outcomes of consumer groups: of one group, and of all groups of a check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model.checks import Outcome, Status
from monitor.policy.consumer_groups.judge import HEALTHY
from monitor.policy.consumer_groups.memory import GroupVerdict

NAME_CHARACTERS = 200


def group_outcome(verdict: GroupVerdict, detail: Mapping[str, Any] | None = None) -> Outcome:
    """Return the outcome of one group."""
    status, reason, message, data, early, held = verdict
    return Outcome(status, data, reason, message, detail or {}, grace=early, held=held)


def child_outcome(group: str, verdict: GroupVerdict, detail: Mapping[str, Any] | None = None) -> Outcome:
    """Return the outcome of the child check of one group.

    The detail contains the group's name, because the child check's name may differ from it.
    """
    return group_outcome(verdict, {"group": group, **(detail or {})})


def summarize(verdicts: Mapping[str, GroupVerdict]) -> Outcome:
    """Return the outcome of the parent check: the worst verdict, with the numbers of all groups.

    Lag and consumers are sums, other numbers are maxima. A verdict that is too early counts only if all are too early.
    Raises ValueError if ``verdicts`` is empty.
    """
    name, worst = max(
        verdicts.items(), key=lambda item: _rank(item[1])
    )  # if several have the worst rank, the first of these
    failing = [verdict for verdict in verdicts.values() if _rank(verdict) > 3]
    not_ok = [verdict for verdict in verdicts.values() if verdict.status is not Status.OK and not verdict.early]
    data: dict[str, Any] = {"groups": len(verdicts), "failing": len(failing)}
    data |= {key: sum(numbers) for key in ("lag", "consumers") if (numbers := _numbers(verdicts, key))}
    data |= {key: max(numbers) for key in _MAXIMUM_KEYS if (numbers := _numbers(verdicts, key))}
    data |= {key: worst.data[key] for key in _LIMIT_KEYS if key in worst.data}
    if note := worst.data.get("note"):
        data["note"] = note
    early = all(verdict.early for verdict in verdicts.values())
    if not not_ok and not early:
        return Outcome(Status.OK, data, message=HEALTHY, held=worst.held)
    count = len(verdicts) if early else len(not_ok)
    message = f"{count} of {len(verdicts)} groups: {name[:NAME_CHARACTERS]}: {worst.message}"
    return Outcome(worst.status, data, worst.reason, message, grace=early, held=worst.held)


_MAXIMUM_KEYS = ("skew_ratio", "skew_ratio_max", "lag_seconds", "retention_share", "numbers_age_seconds")
_LIMIT_KEYS = ("window_seconds", "skew_threshold", "min_consumers")


def _rank(verdict: GroupVerdict) -> int:
    if verdict.early:
        return 0
    if verdict.status is Status.UNKNOWN and verdict.held:
        return 3  # does not make the check fail
    return {Status.OK: 1, Status.WARNING: 2, Status.ERROR: 5}.get(verdict.status, 4)


def _numbers(verdicts: Mapping[str, GroupVerdict], key: str) -> list[Any]:
    return [verdict.data[key] for verdict in verdicts.values() if key in verdict.data]
