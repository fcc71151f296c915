"""The target of these tests on a system without pidfds."""

import contextlib
import os

from tests.system.executor.target import prepare, run

__all__ = ["prepare", "run"]

with contextlib.suppress(AttributeError):
    del os.pidfd_open
