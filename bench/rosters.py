"""Configurations for the monitor under test: a TOML file in a directory, and the environment that names it."""

from __future__ import annotations

from pathlib import Path

NEVER_STALE = "[defaults]\nstale_after = 100000\n"
"""For seeded states that nobody renews: what is measured is an answer about live checks, not about stale ones."""

TOKEN = "token-of-the-bench-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def noop_checks(count: int, *, interval_seconds: float, groups: str = "[]") -> str:
    """``count`` checks that do nothing, in no group unless ``groups`` (a TOML list) says otherwise."""
    table = "[checks.c{:05d}]\nkind = 'python'\npath = 'bench.noop:check'\ninterval = {:g}\ngroups = {}\n"
    return "".join(table.format(number, interval_seconds, groups) for number in range(count))


def environment(
    directory: Path, redis_url: str, *tables: str, default_checks: bool = False, **variables: str
) -> dict[str, str]:
    """What a role needs in its environment. ``tables`` is TOML, ``variables`` are further ``MONITOR_*`` settings."""
    file = directory / f"monitor-{len(list(directory.glob('monitor-*.toml')))}.toml"
    file.write_text(f"default_checks = {str(default_checks).lower()}\n" + "\n".join(tables))
    settings = {f"MONITOR_{name.upper()}": value for name, value in variables.items()}
    common = {"MONITOR_CONFIG": str(file), "MONITOR_REDIS_URL": redis_url, "MONITOR_LOG_LEVEL": "warning"}
    return {**common, "MONITOR_TOKEN": TOKEN, "MONITOR_DATA_DIR": str(directory), **settings}
