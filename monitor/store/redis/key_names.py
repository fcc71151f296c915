"""Names of all keys that the monitor and its agents store below the key prefix, for `monitor uninstall`.

A new key needs a row here. Otherwise `monitor uninstall` takes the key for a key of another program, and keeps it.
"""

from __future__ import annotations

import re

_CHECK = r"[A-Za-z0-9_.@:-]+"
KEYS: tuple[tuple[str, str], ...] = (
    ("states of checks", r"states|meta|changed|retries|dispatch|transitions|canary"),
    ("memories of checks", r"memory"),
    ("flights", rf"flight:{_CHECK}"),
    ("history", rf"open|blocks|blocks:raw|blocks:roll|(open|raw|roll):{_CHECK}:\d+"),
    ("alerts", r"alerting|alerting:(alerts|silences|dead|channels|turn)|alerting:(flight|channel|due|lane):.+"),
    ("workers", r"beacons|heartbeats|emitted|fleet"),
    ("counts of rejected values", r"aside"),
    ("name of the project, and facts about it", r"project|project-facts"),
    ("running roles", r"role:(worker|beat|web):.+"),
)
"""For each kind of keys: its name for the operator, and a pattern of the keys without their prefix."""

_PATTERNS = tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in KEYS)


def kind_of(name: str) -> str | None:
    """Return the kind of a key, given without the prefix; None if it is not a key of the monitor."""
    return next((kind for kind, pattern in _PATTERNS if pattern.fullmatch(name)), None)
