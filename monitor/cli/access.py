"""``monitor token`` and ``monitor open``, and the files with token and address that a server writes for them."""

from __future__ import annotations

import contextlib
import os
import webbrowser
from pathlib import Path

import click

from monitor.cli.config_loading import read_or_exit
from monitor.cli.data_dir import data_dir_of, data_dir_option
from monitor.cli.options import config_option
from monitor.config import Config
from monitor.credentials import signed, token_file
from monitor.credentials.token_file import TokenUnusable
from monitor.lib import logs
from monitor.lib.own_files import belongs_to_another

PAGE = "admin/monitoring/"
_ADDRESS = "web-address"

log = logs.get_logger("monitor.web")


def provide_token(config: Config, directory: Path) -> str | None:
    """Return the configured token, or else the token in the data directory, which is created if it is missing.

    Set the data directory, and the token if it was read from there, in the environment for child processes. If no token
    can be read or created, log one event and return None. Every request that needs a token is then refused.
    """
    os.environ["MONITOR_DATA_DIR"] = str(directory)
    if config.token is not None:
        with contextlib.suppress(TokenUnusable):  # then the token works, but one-time links do not
            token_file.prepare(directory)
        return config.token.get_secret_value()
    try:
        os.environ["MONITOR_TOKEN"] = token = token_file.ensure(directory)
    except TokenUnusable as error:
        log.warning("web.closed", message=str(error), hint="set MONITOR_TOKEN, or MONITOR_DATA_DIR to a directory")
        return None
    return token


def store_address(directory: Path, base: str) -> None:
    """Store the server's base URL in the data directory, for `monitor open`.

    Do nothing if another user owns the directory or if it is not writable. `monitor open` then uses the configured
    port of this machine.
    """
    with contextlib.suppress(OSError):
        if belongs_to_another(directory):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(directory / _ADDRESS, flags, 0o600), "w") as file:
            file.write(base + "\n")


def link(base: str, token: str) -> str:
    """Return a link to the dashboard. It works once, and expires after ten minutes."""
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
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of the server (default: the port of the running server)."
)
@click.option("--browser", is_flag=True, help="Print the link and open it in a browser.")
@config_option
def open_page(data_dir: Path | None, port: int | None, browser: bool, config: Path | None) -> None:
    """Print a new link to the dashboard. It works once and expires after ten minutes."""
    settings = read_or_exit(config)
    directory = data_dir_of(settings, data_dir)
    base = f"http://127.0.0.1:{port}" if port else _address(directory) or f"http://127.0.0.1:{settings.web.port}"
    url = link(base, _token(settings, directory))
    click.echo(url)
    if browser:
        webbrowser.open(url)


def _token(settings: Config, directory: Path) -> str:
    if settings.token is not None:
        return settings.token.get_secret_value()
    try:
        stored = token_file.read(directory)
    except TokenUnusable as error:
        raise click.ClickException(str(error)) from error
    if stored is None:
        raise click.ClickException(
            f"no token in {directory}: start `monitor up` or `monitor web` first, or give the --data-dir that they use"
        )
    return stored


def _address(directory: Path) -> str | None:
    """Return the base URL that `store_address` stored, or None.

    Return None if another user owns the directory. This user could have stored the URL of another server, and that
    server would receive the one-time code of the link.
    """
    try:
        if belongs_to_another(directory):
            return None
        with os.fdopen(
            os.open(directory / _ADDRESS, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        ) as file:
            return file.readline(200).strip() or None
    except (OSError, UnicodeDecodeError):
        return None
