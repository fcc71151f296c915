"""Delays of the project's imports, and a log of them."""

import os
import time
from pathlib import Path


def begin(part: str) -> None:
    """Log that this process imports a part, and wait as long as the variable of this part says."""
    if log := os.environ.get("WAREHOUSE_LOG"):
        with Path(log).open("a") as file:
            file.write(f"{part} {os.getpid()}\n")
    time.sleep(float(os.environ.get(f"WAREHOUSE_{part}_SECONDS", "0")))


def wait_for_gate() -> None:
    """Wait for the file that ``WAREHOUSE_GATE`` names."""
    gate = os.environ.get("WAREHOUSE_GATE")
    while gate and not Path(gate).exists():
        time.sleep(0.05)
