"""Channel `exec`: runs of a program of the operator."""

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
_MAX_VALUE_CHARACTERS = 8_000  # Linux starts no program with a variable of more than 128 KiB
_PERMANENT_STATUSES = {
    os.EX_USAGE, os.EX_DATAERR, os.EX_NOUSER, os.EX_NOHOST, os.EX_NOPERM, os.EX_CONFIG, 126, 127,
}  # fmt: skip


@register("exec")
@dataclass(frozen=True, kw_only=True)
class Exec(Channel):
    """Run of a program, without a shell.

    The standard input of the program is the JSON that `webhook` sends. Environment variables of the program contain
    the same data, at most 8,000 characters each: `ALERT_ID`, `ALERT_KIND`, `ALERT_CHECK`, `ALERT_STATUS`, `ALERT_WAS`,
    `ALERT_SEVERITY`, `ALERT_REASON`, `ALERT_MESSAGE`, `ALERT_SINCE`, `ALERT_AT`, `ALERT_TITLE`, `ALERT_BODY`. The
    program inherits `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `TZ`, `TMPDIR` and the locale from the monitor, and no
    other variables. Add variables with `environment`. Write no secrets into `command`: every user of the machine can
    read the command in the process list. The program may run twice for one notification, with the same `ALERT_ID`.

    The exit status decides what follows:

    - 0: the notification is delivered.
    - 64, 65, 67, 68, 77, 78 (in `sysexits.h`: usage, data, user, host, permission, configuration), 126 and 127 (program
      not found): the delivery is given up.
    - Any other status, or a signal: the delivery is repeated. Tools such as curl use other statuses for failures of the
      network.

    If the program takes longer than `timeout`, its process group is killed, and the delivery is repeated. The last
    characters of the standard error of the program are the reason that is shown.
    """

    command: Annotated[
        tuple[str, ...], Field(min_length=1, description="path of the program, and its arguments, without secrets")
    ]
    environment: Annotated[
        Mapping[str, SecretStr],
        Field(description="additional environment variables of the program. Their values are secrets"),
    ] = field(default_factory=dict)

    example: ClassVar[Mapping[str, Any]] = {
        "command": ["/usr/local/bin/page-on-call", "--team", "shop"],
        "environment": {"PAGER_TOKEN": "..."},
    }

    def deliver(self, notice: Notice, text: Text, attempt: Attempt) -> None:
        """Run the program once."""
        document = as_json(notice, text)
        # With pipes, the delivery would hang if the program reads nothing or starts a daemon that keeps a pipe open.
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
            stdin.write(to_json(document))
            stdin.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603  (the user's own command)
                    self.command,
                    stdin=stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    env=self._variables(document),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise _not_started(error, self.command[0]) from None
            attempt.when_over(lambda: _kill(process))
            status = process.wait()
            excerpt = _excerpt(stderr)
        if status:
            raise _failure(status, excerpt)

    def _variables(self, document: Mapping[str, Any]) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIX)
        }
        alert_variables = {
            f"ALERT_{name.upper()}": ("" if value is None else str(value)).replace("\0", "")[:_MAX_VALUE_CHARACTERS]
            for name, value in document.items()
            if not isinstance(value, Mapping)
        }
        return (
            inherited | {name: value.get_secret_value() for name, value in self.environment.items()} | alert_variables
        )


def _not_started(error: Exception, program: str) -> Permanent | Temporary:
    reason = f"{program} cannot be started: {getattr(error, 'strerror', None) or error}"
    is_permanent = isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | ValueError)
    return Permanent(reason) if is_permanent else Temporary(reason)


def _failure(status: int, excerpt: str) -> Permanent | Temporary:
    if status < 0:
        return Temporary(f"killed by {signal.Signals(-status).name}{excerpt}")
    return (Permanent if status in _PERMANENT_STATUSES else Temporary)(f"ended with {status}{excerpt}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _excerpt(stderr: IO[bytes]) -> str:
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(size - 1000, 0))
    words = " ".join(stderr.read().decode("utf-8", "replace").split())[-300:]
    return f": {words}" if words else ""
