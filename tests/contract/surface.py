"""Print the names that users may have written down: ``python -m tests.contract.surface``."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

import monitor
from tests.contract import names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROSE = {"meaning", "", "means", "does", "what"}

IMPORTED = {
    "monitor": ("install", "HealthChecker", "app", "__version__"),
    "monitor.celery_app": ("app",),
    "monitor.settings": ("INSTALLED_APPS", "ROOT_URLCONF", "DATABASES", "ALLOWED_HOSTS", "USE_TZ", "WSGI_APPLICATION"),
    "monitor.wsgi": ("application",),
    "monitor.health_probe": ("main",),
    "monitor.health_checker": ("HealthChecker",),
    "monitor.testing": ("MemoryStore", "MemoryHistory"),
    "monitor.tasks": (),
    "monitor.tasks.heartbeat": (),
    "monitor.api.urls": ("urlpatterns", "app_name"),
    "monitor.api.root_urls": ("urlpatterns", "app_name"),
    "monitor.api.middleware": ("ProbeMiddleware",),
    "monitor.dashboard.urls": ("urlpatterns",),
    "monitor.urls": ("urlpatterns",),
    "monitor.cli": ("main",),
    "monitor.checks.base": ("Kind", "CheckFailed"),
}
"""Modules and their names that the documentation, or a project's settings, may hold."""


def main() -> None:
    """Print everything as JSON."""
    found = {
        "entry points": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"],
        "imported": {module: _imported(module, wanted) for module, wanted in IMPORTED.items()},
        "commands": _command(names.commands()),
        "monitor config": _configuration(),
        **_celery(),
        "settings, kinds, channels": {
            page: _tables(DOCS / page) for page in ("configuration.md", "checks.md", "channels.md")
        },
        "environment": _variables(),
        "log events": sorted(re.findall(r"^\| `([a-z_.]+)` \|", (DOCS / "events.md").read_text(), re.MULTILINE)),
    }
    sys.stdout.write(f"RESULT\n{json.dumps(found, indent=1, default=str)}\n")


def _imported(module: str, wanted: tuple[str, ...]) -> list[str]:
    there = importlib.import_module(module)
    return [name for name in wanted if hasattr(there, name)]


def _command(command: click.Command) -> dict[str, Any]:
    """Describe a command by what its users type. Its prose, and what may be shown as a default, is left out."""
    context = click.Context(command)
    described: dict[str, Any] = {"parameters": [_parameter(each) for each in command.get_params(context)]}
    if isinstance(command, click.Group):
        named = {name: command.get_command(context, name) for name in command.list_commands(context)}
        described["commands"] = {name: _command(each) for name, each in named.items() if each is not None}
    return described


def _parameter(parameter: click.Parameter) -> dict[str, Any]:
    default = parameter.to_info_dict().get("default")
    return {
        "kind": parameter.param_type_name,
        "names": [*parameter.opts, *parameter.secondary_opts],
        "type": parameter.type.name,
        "default": default if isinstance(default, str | int | float | bool | None) else repr(type(default).__name__),
        "required": parameter.required,
        "many": parameter.multiple or parameter.nargs,
        "variable": parameter.envvar,
    }


def _configuration() -> list[list[str]]:
    """Return all rows of `monitor config` of the default roster: keys, values and where they came from."""
    variables = {
        "COLUMNS": "500",
        "MONITOR_CONFIG": "",
        "MONITOR_DATA_DIR": "",
        "MONITOR_REFRESH_INTERVAL": "",
        "MONITOR_LOG_FORMAT": "",
    }
    result = CliRunner(env=variables).invoke(names.commands(), ["config"])
    assert result.exit_code == 0, result.output
    return [re.split(r"\s{2,}", line.strip()) for line in result.output.splitlines()]


def _celery() -> dict[str, Any]:
    from monitor.standalone.celery_app import app

    kept = (
        "task_default_queue",
        "beat_schedule",
        "worker_pool",
        "worker_concurrency",
        "task_ignore_result",
        "result_backend",
    )
    entries = app.conf.beat_schedule.values()
    return {
        "tasks": sorted(name for name in app.tasks if not name.startswith("celery.")),
        "task options": {
            name: {
                option: getattr(task, option) for option in ("ignore_result", "acks_late", "rate_limit", "serializer")
            }
            for name, task in sorted(app.tasks.items())
            if not name.startswith("celery.")
        },
        "celery settings": {name: getattr(app.conf, name) for name in kept},
        "queues": sorted({entry["options"]["queue"] for entry in entries}),
    }


def _tables(page: Path) -> list[list[str]]:
    """Return the rows of a page's tables, without the columns of prose."""
    rows: list[list[str]] = []
    columns: list[int] = []
    is_head = True
    for line in page.read_text().splitlines():
        if re.fullmatch(r"#+ [a-z_]+", line):  # a kind
            rows.append([line])
        if not line.startswith("|"):
            is_head = True
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if is_head:
            columns, is_head = [place for place, name in enumerate(cells) if name not in PROSE], False
        if not set(line) <= set("|- "):
            rows.append([cells[place] for place in columns if place < len(cells)])
    return rows


def _variables() -> list[str]:
    """Return the environment variables that the code names, wherever it does."""
    trees = (ast.parse(file.read_text()) for file in Path(monitor.__file__).parent.rglob("*.py"))
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return sorted(text for text in texts if isinstance(text, str) and _VARIABLE.fullmatch(text))


_VARIABLE = re.compile(
    r"(?:MONITOR|CELERY_HEALTH|KAFKA|PROM|PROMETHEUS|SKEW|MIN|WINDOW|BIND|HOLD|DATABASE|ALERT)_[A-Z_]*[A-Z]"
)


if __name__ == "__main__":
    os.environ.pop("MONITOR_CONFIG", None)
    main()
