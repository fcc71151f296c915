"""Outcomes of consumer groups: of one group, and of many groups together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.model.checks import Outcome, Status
from monitor.policy.consumer_groups.judge import HEALTHY
from monitor.policy.consumer_groups.memory import GroupVerdict

NAME_CHARACTERS = 200


def group_outcome(verdict: GroupVerdict, detail: Mapping[str, Any] | None = None) -> Outcome:
    """Return the outcome of one group."""
    status, reason, message, data, early, kept = verdict
    return Outcome(status, data, reason, message, detail or {}, grace=early, held=kept)


def child_outcome(group: str, verdict: GroupVerdict, detail: Mapping[str, Any] | None = None) -> Outcome:
    """Return the outcome of one group of several.

    The detail contains the group's name, because the check's name may differ.
    """
    return group_outcome(verdict, {"group": group, **(detail or {})})


def summarize(verdicts: Mapping[str, GroupVerdict]) -> Outcome:
    """Return the worst verdict with the numbers of all groups: sums of lag and consumers, maxima of the others.

    Groups whose verdict is too early do not count if there are others. Raises ValueError if ``verdicts`` is empty.
    """
    name, worst = max(verdicts.items(), key=lambda item: _rank(item[1]))  # the first one of the worst rank
    failing = [each for each in verdicts.values() if _rank(each) > 3]
    unwell = [each for each in verdicts.values() if each.status is not Status.OK and not each.early]
    data: dict[str, Any] = {"groups": len(verdicts), "failing": len(failing)}
    data |= {key: sum(numbers) for key in ("lag", "consumers") if (numbers := _numbers(verdicts, key))}
    data |= {key: max(numbers) for key in _HIGHEST if (numbers := _numbers(verdicts, key))}
    data |= {key: worst.data[key] for key in _SETTINGS if key in worst.data}
    if note := worst.data.get("note"):
        data["note"] = note
    early = all(each.early for each in verdicts.values())
    if not unwell and not early:
        return Outcome(Status.OK, data, message=HEALTHY, held=worst.held)
    count = len(verdicts) if early else len(unwell)
    message = f"{count} of {len(verdicts)} groups: {name[:NAME_CHARACTERS]}: {worst.message}"
    return Outcome(worst.status, data, worst.reason, message, grace=early, held=worst.held)


_HIGHEST = ("skew_ratio", "skew_ratio_max", "lag_seconds", "retention_share", "numbers_age_seconds")
_SETTINGS = ("window_seconds", "skew_threshold", "min_consumers")


def _rank(verdict: GroupVerdict) -> int:
    if verdict.early:
        return 0
    if verdict.status is Status.UNKNOWN and verdict.held:
        return 3  # does not make the check fail
    return {Status.OK: 1, Status.WARNING: 2, Status.ERROR: 5}.get(verdict.status, 4)


def _numbers(verdicts: Mapping[str, GroupVerdict], key: str) -> list[Any]:
    return [each.data[key] for each in verdicts.values() if key in each.data]
