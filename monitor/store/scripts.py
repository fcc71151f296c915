"""The Lua scripts by which everything in Redis is read and written, one file each in ``lua/``.

Each opens with its keys, its arguments and the invariant that it keeps.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and the digest by which a server that has seen it knows it."""

    name: str
    text: str
    sha: str


def _load(name: str) -> Script:
    folder = files(__package__) / "lua"
    text = "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("prelude", name))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


TAKE = _load("take")
COMMIT = _load("commit")
RELEASE = _load("release")
CLAIM = _load("claim")
READ = _load("read")
FORGET = _load("forget")
PAGE = _load("page")
HISTORY_SAMPLES = _load("history_samples")
HISTORY_ROLLUPS = _load("history_rollups")
HISTORY_REACHES = _load("history_reaches")
HISTORY_ADD = _load("history_add")
HISTORY_ADD_DAY = _load("history_add_day")
HISTORY_WAITING = _load("history_waiting")
HISTORY_FETCH = _load("history_fetch")
HISTORY_PACK = _load("history_pack")
HISTORY_TRIM = _load("history_trim")
HISTORY_FORGET = _load("history_forget")

FIELDS = _load("fields")
SWEEP = _load("sweep")
SHORTEN = _load("shorten")
DISCARD = _load("discard")
SIGHT = _load("sight")
NOTE = _load("note")
OWN = _load("own")

ALERT_READ = _load("alert_read")
ALERT_DECIDE = _load("alert_decide")
ALERT_TAKE = _load("alert_take")
ALERT_DONE = _load("alert_done")
ALERT_RETRY = _load("alert_retry")
ALERT_DUE = _load("alert_due")
ALERT_RETIRE = _load("alert_retire")
ALERT_OVERVIEW = _load("alert_overview")
ALERT_LEAVE = _load("alert_leave")
