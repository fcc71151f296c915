"""The reference of all kinds, made of their code: ``python -m monitor.checks.reference > docs/checks.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from monitor.checks.base import Kind
from monitor.checks.registry import KINDS
from monitor.plugins.reference import page, table

_HEAD = """\
# Kinds of checks

<!-- Made by `python -m monitor.checks.reference > docs/checks.md`; a test compares the two. -->

What can be observed, with the options of each kind. The options every check has (`interval`, `timeout`, `groups`, ...)
are those of the configuration. A check is one table of the configuration file, as in the examples. Data is public:
it is part of the probes' bodies. A reason is the code that says why a check is not `ok`; besides those below every kind
may end with `timeout` (not done in time, and ended), `exception` (it raised; the log has the traceback), `crashed`
(its process died) and `bad_data` (what it returned cannot be stored).
"""


def render() -> str:
    """Return the whole page, as Markdown."""
    return page(_HEAD, KINDS, "checks", _tables)


def _tables(cls: type[Kind]) -> Iterator[str]:
    for name, rows in (("data", cls.reports), ("reason", cls.reasons)):
        if rows:
            yield from table((name, ""), ((f"`{key}`", text) for key, text in rows.items()))


if __name__ == "__main__":
    sys.stdout.write(render())
