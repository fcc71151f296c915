"""A program of the user's own."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from monitor.alerts.base import Attempt, Channel, Permanent, Temporary
from monitor.alerts.http import to_json
from monitor.alerts.registry import register
from monitor.alerts.text import Text, as_json
from monitor.model.checks import Notice

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR")
_INHERITED_PREFIX = "LC_"
_LONGEST_VALUE = 8_000  # characters: a single variable of more than 128 KiB cannot be passed at all
_GIVE_UP = {
    os.EX_USAGE, os.EX_DATAERR, os.EX_NOUSER, os.EX_NOHOST, os.EX_NOPERM, os.EX_CONFIG, 126, 127,
}  # fmt: skip


@register("exec")
@dataclass(frozen=True, kw_only=True)
class Exec(Channel):
    """Runs a program, without a shell. It reads the notice as JSON (a webhook's body) from its standard input, and has
    the same in its environment: `ALERT_ID`, `ALERT_KIND`, `ALERT_CHECK`, `ALERT_STATUS`, `ALERT_WAS`,
    `ALERT_SEVERITY`, `ALERT_REASON`, `ALERT_MESSAGE`, `ALERT_SINCE`, `ALERT_AT`, `ALERT_TITLE`, `ALERT_BODY`
    (the first 8,000 characters of each). Of the monitor's own environment it gets `PATH`, `HOME`, the locale and the
    like, and none of its settings; what it needs besides is given by `environment`, not in `command`, which everybody
    on the machine can read in the process list. It may run twice for one notice: `ALERT_ID` is the same then.

    Exit status 0: told. Given up: 64, 65, 67, 68, 77, 78 (of `sysexits.h`: usage, data, user, host, permission,
    configuration), 126 and 127 (no such program). Tried again: 75 (`EX_TEMPFAIL`), any other, since what tools such as
    curl end with tells of their network, and being killed. Not done in time, its whole process group is killed. The
    end of its standard error is the reason that is shown.
    """

    command: Annotated[tuple[str, ...], Field(min_length=1, description="the program and its arguments; no secrets")]
    environment: Annotated[
        Mapping[str, SecretStr], Field(description="variables to set; their values are taken for secrets")
    ] = field(default_factory=dict)

    example: ClassVar[Mapping[str, Any]] = {
        "command": ["/usr/local/bin/page-somebody", "--team", "shop"],
        "environment": {"PAGER_TOKEN": "..."},
    }

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """One run."""
        told = as_json(notice, text)
        # Files, not pipes: neither a program that reads nothing nor one that leaves a daemon behind holds us up.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as complaints:
            given.write(to_json(told))
            given.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603  (the user's own command)
                    self.command,
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    env=self._variables(told),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise _not_started(error, self.command[0]) from None
            attempt.when_over(lambda: _kill(process))
            status = process.wait()
            said = _end(complaints)
        if status:
            raise _failure(status, said)

    def _variables(self, told: Mapping[str, Any]) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIX)
        }
        ours = {
            f"ALERT_{name.upper()}": ("" if value is None else str(value)).replace("\0", "")[:_LONGEST_VALUE]
            for name, value in told.items()
            if not isinstance(value, Mapping)
        }
        return inherited | {name: value.get_secret_value() for name, value in self.environment.items()} | ours


def _not_started(error: Exception, program: str) -> Permanent | Temporary:
    reason = f"{program} cannot be started: {getattr(error, 'strerror', None) or error}"
    missing = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | ValueError)
    return Permanent(reason) if missing else Temporary(reason)


def _failure(status: int, said: str) -> Permanent | Temporary:
    if status < 0:
        return Temporary(f"killed by {signal.Signals(-status).name}{said}")
    return (Permanent if status in _GIVE_UP else Temporary)(f"ended with {status}{said}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _end(complaints: IO[bytes]) -> str:
    size = complaints.seek(0, os.SEEK_END)
    complaints.seek(max(size - 1000, 0))
    words = " ".join(complaints.read().decode("utf-8", "replace").split())[-300:]
    return f": {words}" if words else ""
