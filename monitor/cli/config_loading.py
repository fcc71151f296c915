"""Loading the configuration for a command, or saying everything that is wrong with it and ending the process."""

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
    """The configuration; prints all problems to standard error and exits with ``exit_code`` when there are any.

    ``fallback_url`` is asked for a Redis URL when none is configured: it is set for this process and its children.
    """
    try:
        if fallback_url is not None:
            _fall_back(file, fallback_url)
        return wiring.load(file)
    except ConfigError as error:
        _exit(error, exit_code)


def load_for_role_or_exit(file: Path | None = None) -> Loaded:
    """The same, for a role, which can do nothing without the store."""
    loaded = load_or_exit(file)
    try:
        wiring.required_url(loaded.config, "redis_url")
    except ConfigError as error:
        _exit(error, WRONG_CONFIGURATION)
    return loaded


def read_or_exit(file: Path | None = None) -> Config:
    """The settings alone, for a command that needs neither the store nor a check's options."""
    try:
        return wiring.read(file).config
    except ConfigError as error:
        _exit(error, WRONG_CONFIGURATION)


def problems_text(error: ConfigError) -> str:
    """One line for each problem, under a line that counts them."""
    count = len(error.problems)
    heading = f"the configuration has {count} error{'' if count == 1 else 's'}; nothing was started"
    return "\n".join([heading, *(f"  {problem}" for problem in error.problems)])


def exit_with(problem: ConfigProblem) -> NoReturn:
    """Print one problem that was found after loading, and exit as for any other."""
    _exit(ConfigError([problem]), WRONG_CONFIGURATION)


def _exit(error: ConfigError, exit_code: int) -> NoReturn:
    click.echo(problems_text(error), err=True)
    sys.exit(exit_code)


def _fall_back(file: Path | None, fallback_url: Fallback) -> None:
    try:
        config = wiring.read(file).config
    except ConfigError as error:
        if error.rest is None:
            return  # loading will say so
        config = error.rest.config
    url = fallback_url(config) if config.redis_url is None else None
    if url is not None:
        os.environ["MONITOR_REDIS_URL"] = url
