"""The reference of all kinds, made of their code: ``python -m monitor.checks._reference > docs/checks.md``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from monitor.checks import registry
from monitor.checks.base import Kind
from monitor.option_docs import options, table, toml

_HEAD = """\
# Kinds of checks

<!-- Made by `python -m monitor.checks._reference > docs/checks.md`; a test compares the two. -->

What can be observed, with the options of each kind. The options every check has (`interval`, `timeout`, `groups`, ...)
are those of the configuration. A check is one table of the configuration file, as in the examples. Data is public:
it is part of the probes' bodies. A reason is the code that says why a check is not `ok`; besides those below every kind
may end with `timeout` (not done in time, and ended), `exception` (it raised; the log has the traceback), `crashed`
(its process died) and `bad_data` (what it returned cannot be stored).
"""


def render() -> str:
    """The whole page, as Markdown."""
    # Only our own kinds: what other packages ship depends on the machine.
    ours = [name for name in registry.names() if registry.find(name).__module__.startswith("monitor.checks.")]
    contents = [f"[`{name}`](#{name})" for name in ours]
    parts = [_HEAD, " · ".join(contents) + "\n", *("\n".join(_section(registry.find(name))) for name in ours)]
    return "\n".join(parts)


def _section(cls: type[Kind]) -> Iterator[str]:
    yield f"## {cls.name}\n"
    yield inspect.cleandoc(cls.__doc__ or "").replace("``", "`") + "\n"
    yield from toml(f"checks.my-{cls.name.replace('_', '-')}", {"kind": cls.name, **cls.example})
    if rows := list(options(cls)):
        yield from table(("option", "value", "default", ""), rows)
    if cls.reports:
        yield from table(("data", ""), ((f"`{name}`", text) for name, text in cls.reports.items()))
    if cls.reasons:
        yield from table(("reason", ""), ((f"`{name}`", text) for name, text in cls.reasons.items()))


if __name__ == "__main__":
    sys.stdout.write(render())
