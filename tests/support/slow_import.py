"""Module of a user whose import takes longer than the time limit of its check."""

import time

time.sleep(0.6)


def answer() -> int:
    """Return at once."""
    return 42
