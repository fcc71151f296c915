"""Checks of a user, for the recorded store and the fixed scenario: what they find is in a file, or fixed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def orders() -> Any:
    """Return what the file says: nothing (ok with numbers), or a status."""
    said = Path(os.environ["CONTRACT_FILE"]).read_text().strip()
    return (said, "the stock is gone") if said else {"open": 12, "oldest_seconds": 3.5, "note": "naïve ☃"}


def failing() -> Any:
    """Fail always."""
    return ("error", "no route to the depot")


def steady() -> dict[str, float]:
    """Return the same numbers always."""
    return {"temperature": 21.25, "visitors": 3}


if os.environ.get("CONTRACT_FROZEN"):  # imported by the check processes: a check takes no time at all
    time.perf_counter = lambda: 0.0
