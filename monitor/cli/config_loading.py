"""Loading of the configuration. If the configuration is invalid, all problems are printed and the process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from monitor import wiring
from monitor.config import Config, ConfigError, ConfigProblem, Loaded
from monitor.wiring import Use

WRONG_CONFIGURATION = 2

Fallback = Callable[[Config], str | None]


def load_or_exit(
    file: Path | None = None,
    *,
    exit_code: int = WRONG_CONFIGURATION,
    fallback_url: Fallback | None = None,
    use: Use = Use.STORED,
) -> Loaded:
    """Return the configuration. If it is invalid, print all problems to standard error and exit with ``exit_code``.

    If no Redis URL is configured, the URL that ``fallback_url`` returns is set in the environment, for this process and
    its child processes.
    """
    try:
        if fallback_url is not None:
            _set_fallback_url(file, fallback_url, use)
        return wiring.load(file, use=use)
    except ConfigError as error:
        _exit(error, exit_code)


def load_for_role_or_exit(file: Path | None = None) -> Loaded:
    """Return the configuration for a role. Exit if it has problems or no Redis URL, because a role needs the store."""
    loaded = load_or_exit(file, use=Use.FRESH)
    _require_store(loaded.config, WRONG_CONFIGURATION)
    return loaded


def load_with_store_or_exit(
    file: Path | None, fallback_url: Fallback, *, exit_code: int = WRONG_CONFIGURATION
) -> Config:
    """Return the configuration for a command that uses only the store. Exit if no Redis URL is configured."""
    config = load_or_exit(file, exit_code=exit_code, fallback_url=fallback_url, use=Use.STORE_ONLY).config
    _require_store(config, exit_code)
    return config


def read_or_exit(file: Path | None = None, *, fallback_url: Fallback | None = None) -> Config:
    """Return the settings without validating the options of checks, for a command that runs no checks.

    ``fallback_url`` is as in `load_or_exit`.
    """
    try:
        if fallback_url is not None:
            _set_fallback_url(file, fallback_url, Use.SETTINGS_ONLY)
        return wiring.load_unvalidated(file, use=Use.SETTINGS_ONLY).config
    except ConfigError as error:
        _exit(error, WRONG_CONFIGURATION)


def problems_text(error: ConfigError) -> str:
    """Return a heading with the number of problems, and a line for each problem."""
    count = len(error.problems)
    heading = f"the configuration has {count} error{'' if count == 1 else 's'}; nothing was started"
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def exit_with(problem: ConfigProblem) -> NoReturn:
    """Print a problem that was found after the configuration was loaded, and exit with 2."""
    _exit(ConfigError([problem]), WRONG_CONFIGURATION)


def _require_store(config: Config, exit_code: int) -> None:
    try:
        wiring.required_url(config, "redis_url")
    except ConfigError as error:
        _exit(error, exit_code)


def _exit(error: ConfigError, exit_code: int) -> NoReturn:
    click.echo(problems_text(error), err=True)
    sys.exit(exit_code)


def _set_fallback_url(file: Path | None, fallback_url: Fallback, use: Use) -> None:
    try:
        config = wiring.load_unvalidated(file, use=use).config
    except ConfigError as error:
        if error.rest is None or any(problem.key == "redis_url" for problem in error.problems):
            return  # `wiring.load` reports the error. A wrong URL is no missing URL
        config = error.rest.config
    url = fallback_url(config) if config.redis_url is None else None
    if url is not None:
        os.environ["MONITOR_REDIS_URL"] = url
