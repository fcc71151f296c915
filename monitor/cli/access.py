"""``monitor token`` and ``monitor open``, and where a server gets its token from."""

from __future__ import annotations

import contextlib
import os
import webbrowser
from pathlib import Path

import click
import structlog

from monitor.cli.config_loading import read_or_exit
from monitor.cli.data_dir import data_dir_of, data_dir_option
from monitor.cli.options import config_option
from monitor.config import Config
from monitor.credentials import signed, token_file
from monitor.credentials.token_file import TokenUnusable
from monitor.lib.own_files import belongs_to_another

PAGE = "admin/monitoring/"
_ADDRESS = "web-address"

log = structlog.get_logger("monitor.web")


def provide_token(config: Config, home: Path) -> str | None:
    """Return the configured token, or the one in the data directory, made now if need be; put it into the environment.

    None, and one line in the log, when there is none and none can be made: what needs authorisation stays closed.
    """
    os.environ["MONITOR_DATA_DIR"] = str(home)
    if config.token is not None:
        with contextlib.suppress(TokenUnusable):  # without a directory of ours the token works, and links do not
            token_file.prepare(home)
        return config.token.get_secret_value()
    try:
        os.environ["MONITOR_TOKEN"] = token = token_file.ensure(home)
    except TokenUnusable as error:
        log.warning("web.closed", message=str(error), hint="set MONITOR_TOKEN, or MONITOR_DATA_DIR to a directory")
        return None
    return token


def remember_address(home: Path, base: str) -> None:
    """Write down where the server of this data directory is, for `monitor open`; only in a directory of ours."""
    with contextlib.suppress(OSError):  # a read-only directory, too: `monitor open` goes by the configuration
        if belongs_to_another(home):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(home / _ADDRESS, flags, 0o600), "w") as file:
            file.write(base + "\n")


def link(base: str, token: str) -> str:
    """Return a link to the page that opens a session once, within ten minutes."""
    return f"{base}/{PAGE}#{signed.sign(token, signed.CODE, signed.CODE_SECONDS)}"


@click.command("token")
@data_dir_option
@config_option
def token(data_dir: Path | None, config: Path | None) -> None:
    """Print the bearer token, for curl: -H "Authorization: Bearer $(monitor token)"."""
    settings = read_or_exit(config)
    click.echo(_token(settings, data_dir_of(settings, data_dir)))


@click.command("open")
@data_dir_option
@click.option("--port", type=click.IntRange(1, 65535), help="The server's port (default: that of the running server).")
@click.option("--browser", is_flag=True, help="Open it in a browser as well.")
@config_option
def open_page(data_dir: Path | None, port: int | None, browser: bool, config: Path | None) -> None:
    """Print a new link to the dashboard: for one use, within ten minutes."""
    settings = read_or_exit(config)
    home = data_dir_of(settings, data_dir)
    base = f"http://127.0.0.1:{port}" if port else _address(home) or f"http://127.0.0.1:{settings.web.port}"
    url = link(base, _token(settings, home))
    click.echo(url)
    if browser:
        webbrowser.open(url)


def _token(settings: Config, home: Path) -> str:
    if settings.token is not None:
        return settings.token.get_secret_value()
    try:
        found = token_file.read(home)
    except TokenUnusable as error:
        raise click.ClickException(str(error)) from error
    if found is None:
        raise click.ClickException(
            f"no token in {home}: start `monitor up` or `monitor web` first, or name their --data-dir"
        )
    return found


def _address(home: Path) -> str | None:
    """Return where the server is. Whoever names another server gets the code: only this user's word counts."""
    try:
        if belongs_to_another(home):
            return None
        with os.fdopen(os.open(home / _ADDRESS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
            return file.readline(200).strip() or None
    except (OSError, UnicodeDecodeError):
        return None
