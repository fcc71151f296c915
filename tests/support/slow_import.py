"""A user's module whose import takes longer than the time limit of a check in it."""

import time

time.sleep(0.6)


def answer() -> int:
    """What costs nothing once it is there."""
    return 42
