"""Configuration loading for commands: prints every problem and exits if the configuration is invalid."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from monitor import wiring
from monitor.config import Config, ConfigError, ConfigProblem, Loaded

WRONG_CONFIGURATION = 2

Fallback = Callable[[Config], str | None]


def load_or_exit(
    file: Path | None = None, *, exit_code: int = WRONG_CONFIGURATION, fallback_url: Fallback | None = None
) -> Loaded:
    """Return the configuration; print all problems to standard error and exit with ``exit_code`` if there are any.

    If no Redis URL is configured, the URL that ``fallback_url`` returns is set for this process and its children.
    """
    try:
        if fallback_url is not None:
            _set_fallback_url(file, fallback_url)
        return wiring.load(file)
    except ConfigError as error:
        _exit(error, exit_code)


def load_for_role_or_exit(file: Path | None = None) -> Loaded:
    """Return the configuration like `load_or_exit`, and exit if no Redis URL is configured: a role needs the store."""
    loaded = load_or_exit(file)
    try:
        wiring.required_url(loaded.config, "redis_url")
    except ConfigError as error:
        _exit(error, WRONG_CONFIGURATION)
    return loaded


def read_or_exit(file: Path | None = None) -> Config:
    """Return the settings without validating the options of checks, for a command that needs only the settings."""
    try:
        return wiring.load_unvalidated(file).config
    except ConfigError as error:
        _exit(error, WRONG_CONFIGURATION)


def problems_text(error: ConfigError) -> str:
    """Return one line for each problem, below a heading with their number."""
    count = len(error.problems)
    heading = f"the configuration has {count} error{'' if count == 1 else 's'}; nothing was started"
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def exit_with(problem: ConfigProblem) -> NoReturn:
    """Print one problem that was found after loading, and exit as for a problem found while loading."""
    _exit(ConfigError([problem]), WRONG_CONFIGURATION)


def _exit(error: ConfigError, exit_code: int) -> NoReturn:
    click.echo(problems_text(error), err=True)
    sys.exit(exit_code)


def _set_fallback_url(file: Path | None, fallback_url: Fallback) -> None:
    try:
        config = wiring.load_unvalidated(file).config
    except ConfigError as error:
        if error.rest is None:
            return  # `wiring.load` reports the error
        config = error.rest.config
    url = fallback_url(config) if config.redis_url is None else None
    if url is not None:
        os.environ["MONITOR_REDIS_URL"] = url
