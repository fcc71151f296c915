"""Held verdicts: the last verdict while there are no new numbers, or the verdict ``no_data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.model.checks import Status
from monitor.policy.consumer_groups.limits import Limits, format_duration, public_limits
from monitor.policy.consumer_groups.memory import GroupMemory, GroupVerdict
from monitor.policy.consumer_groups.reasons import GroupReason
from monitor.policy.states import GroupHold

NOTE_CHARACTERS = 300


def held_verdict(
    memory: GroupMemory | None, reason: str, now: float, limits: Limits, *, since: float, hold: GroupHold
) -> GroupVerdict:
    """Return the verdict while the source does not answer. ``since`` is the time of its last answer.

    This is the last verdict if its numbers are not older than ``hold.seconds``, else the verdict ``no_data``.
    ``reason`` is the reason code of the failure.
    """
    last = last_verdict(memory, now, hold)
    if last is None or memory is None:
        return no_data(reason, (), limits, hold)
    note = f"no answer from the source for {format_duration(round(now - since))} ({reason}): the last verdict is kept"
    return as_held(last, note, now - (memory.numbers_at or now))


def last_verdict(memory: GroupMemory | None, now: float, hold: GroupHold) -> GroupVerdict | None:
    """Return the last verdict. None if there is none, or if its numbers are older than ``hold.seconds``."""
    if memory is None or memory.numbers_at is None or now - memory.numbers_at > hold.seconds:
        return None
    return memory.verdict


def with_verdict(memory: GroupMemory, verdict: GroupVerdict | None, at: float) -> GroupMemory:
    """Return the memory with the verdict, for later runs that hold it. ``at`` is the time of its numbers."""
    return replace(memory, verdict=verdict, numbers_at=round(at, 1))


def as_held(verdict: GroupVerdict, note: str, age_seconds: float) -> GroupVerdict:
    """Return the verdict marked as held, with the age of its numbers and with ``note`` before its own note."""
    remarks = "; ".join(filter(None, (note, verdict.data.get("note"))))[:NOTE_CHARACTERS]
    data = {**verdict.data, "note": remarks, "numbers_age_seconds": round(age_seconds, 1)}
    return verdict._replace(data=data, held=True)


def no_data(reason: str, remarks: Sequence[str], limits: Limits, hold: GroupHold) -> GroupVerdict:
    """Return the verdict ``no_data``: no numbers of the group are recent enough, because of ``reason``."""
    data = public_limits(limits) | ({"note": "; ".join(remarks)[:NOTE_CHARACTERS]} if remarks else {})
    return GroupVerdict(
        Status.UNKNOWN, GroupReason.NO_DATA, f"No data from the source ({reason})", data, held=hold.forever
    )
