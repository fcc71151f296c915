"""Response format of the Kubernetes API server: /livez, /readyz, /readyz/CHECK, ?verbose, ?exclude=.

Texts and status codes are those of k8s.io/apiserver/pkg/server/healthz: 200 with ``ok``, or 500 (not 503) with one line
for each check. The lines contain no reasons, because the endpoint is public.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from monitor import policy
from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import Group, RosterReader

PING = "ping"


class Line(NamedTuple):
    """Line of a verbose response: the name of a check, whether it passes, and the reason if it does not."""

    name: str
    passed: bool
    reason: str | None = None


def check_lines(roster: RosterReader, group: Group, snapshot: CachedSnapshot) -> list[Line]:
    """Return the line ``ping``, which always passes, and a line for each check of a group.

    A check that is not critical always passes. If the configuration cannot be used, a failed line is added.
    """
    lines = [] if PING in group.names else [Line(PING, True)]
    for check in group.checks:
        reading, _ = roster.read(check, snapshot, hold=group.hold)
        lines.append(Line(check.name, not (check.critical and policy.fails(reading)), reading.reason))
    return lines + configuration_lines(roster)


def configuration_lines(roster: RosterReader) -> list[Line]:
    """Return one failed line if the configuration cannot be used, otherwise no line."""
    return [Line("configuration", False, roster.problem)] if roster.problem else []


def endpoint_response(name: str, lines: Sequence[Line], *, verbose: bool, exclude: Iterable[str]) -> tuple[int, str]:
    """Return the status code and the text of an endpoint such as ``readyz``."""
    left_out = frozenset(exclude)
    text = "".join(_line(line, left_out) for line in lines)
    unmatched = left_out - {line.name for line in lines}
    if unmatched:
        names = ",".join(f'"{_printable(name)}"' for name in sorted(unmatched))
        text += f"warn: some health checks cannot be excluded: no matches for {names}\n"
    if any(not line.passed and line.name not in left_out for line in lines):
        return 500, f"{text}{name} check failed\n"
    return 200, f"{text}{name} check passed\n" if verbose else "ok"


def check_response(lines: Iterable[Line], name: str) -> tuple[int, str]:
    """Return the status code and the text of one check, such as ``readyz/database``. Raises KeyError."""
    for line in lines:
        if line.name == name:
            return (200, "ok") if line.passed else (500, f"internal server error: {line.reason or 'failed'}\n")
    raise KeyError(name)


def _line(line: Line, left_out: Container[str]) -> str:
    if line.name in left_out:
        return f"[+]{line.name} excluded: ok\n"
    return f"[+]{line.name} ok\n" if line.passed else f"[-]{line.name} failed: reason withheld\n"


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() and character != '"' else "?" for character in name)
