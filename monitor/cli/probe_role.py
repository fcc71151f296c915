"""``monitor probe role``: liveness probe of whichever roles run in this container, from files that the roles write.

A HEALTHCHECK or an exec probe runs the command every few seconds. So that it starts fast, the module does not import
Django, Celery, redis or click, and imports the HTTP client only for a role that serves an endpoint.
"""

import sys

from monitor.agent import beacon_file, beacon_places
from monitor.cli import probe_worker
from monitor.supervisor import role_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TIMEOUT_SECONDS = 2.0
ROLES = ("web", "worker", "beat", "up", "sidecar")

USAGE = "usage: monitor probe role [ROLE]"
HELP = f"""{USAGE}

Check that the roles of the monitor on this machine (in this container) are alive. Exit 0 if all are alive, 1 if a role
is not alive (a restart would help) or if there is no role. For Docker health checks and exec probes. Without a role,
the Celery workers that have `monitor.install(app)` are checked, as `monitor probe worker` checks them.

  ROLE  role that has to run here; no other role is checked: {", ".join(ROLES)} (default: all roles)

The probe reads the files that the roles write into ${beacon_file.VARIABLE}, or {beacon_file.directory()}, and requests
the liveness endpoint of web, up and sidecar.
"""


def main(arguments: "Sequence[str]") -> int:
    """Print one line about the roles, and return the exit code.

    Return 0 if all are alive, 1 if a role is not alive or if there is no role, 2 if the arguments are invalid.
    """
    if "-h" in arguments or "--help" in arguments:
        sys.stdout.write(HELP)
        return 0
    if len(arguments) > 1 or any(argument not in ROLES for argument in arguments):
        unknown = " ".join(arguments)
        sys.stderr.write(f"{USAGE}\nmonitor probe role: error: not one of {', '.join(ROLES)}: {unknown}\n")
        return 2
    alive, line = judge_roles(beacon_file.directory(), arguments[0] if arguments else None)
    sys.stdout.write(f"{'ok' if alive else 'failed'}: {line}\n")
    return 0 if alive else 1


def judge_roles(directory: str, name: "str | None") -> "tuple[bool, str]":
    """Return whether all roles are alive, and a few words about each.

    With ``name``, only this role is judged. ``directory`` contains the files of the roles. If no role can write a file
    there, such as on a full disk, return True: a restart would not help.
    """
    try:
        roles = role_file.read(directory)
    except FileNotFoundError:
        roles = []
    except OSError as error:
        return False, f"cannot read the files of roles: {error}"
    if name is not None:
        roles = [role for role in roles if role.role == name]
    elif not roles and _has_worker(directory):
        return probe_worker.judge_workers(directory, None)
    if not roles and (reason := beacon_places.why_not_writable(directory)):
        return True, f"no role is judged: none can write into {directory} ({reason})"
    if not roles:
        return False, _no_role_text(directory, name)
    judged = [*_processes(roles, directory), *_endpoints(roles)]
    failing = [text for alive, text in judged if not alive]
    return not failing, ", ".join(failing or [text for _, text in judged])


def _processes(roles: "Iterable[role_file.LocalRole]", directory: str) -> "Iterable[tuple[bool, str]]":
    """Judge the processes of the roles by their files. A role that only its endpoint judges is left out."""
    for role in roles:
        if role.age_seconds is None:
            continue
        if role.age_seconds > role_file.STOPPED_AFTER_SECONDS:
            reason = beacon_places.why_not_writable(directory)
            if reason:
                yield True, f"{role.role} is not judged: it cannot write into {directory} ({reason})"
            else:
                yield False, f"{role.role} is stopped: has written nothing for {role.age_seconds:.0f} s"
        elif role.turn_age_seconds is None:
            yield True, f"{role.role} is starting"
        elif role.turn_age_seconds > role_file.HANGS_AFTER_SECONDS:
            yield False, f"{role.role} hangs: its main loop has not turned for {role.turn_age_seconds:.0f} s"
        else:
            yield True, f"{role.role} is running"


def _endpoints(roles: "Iterable[role_file.LocalRole]") -> "Iterable[tuple[bool, str]]":
    """Judge the liveness endpoints of the roles. One that several roles name, as up and its web do, is judged once."""
    names: dict[str, str] = {}
    for role in roles:
        if role.url:
            names.setdefault(role.url, role.role)
    if not names:
        return
    from monitor.cli import probe_url  # noqa: PLC0415 - slow to import

    for url, name in names.items():
        alive, line = probe_url.request_in_time(url, TIMEOUT_SECONDS)
        yield alive, f"{name} {'answers' if alive else 'does not answer'}: {line} ({url})"


def _has_worker(directory: str) -> bool:
    try:
        return bool(beacon_places.read(directory))
    except OSError:
        return False


def _no_role_text(directory: str, name: "str | None") -> str:
    subject = "no role of the monitor" if name is None else f"no {name}"
    return (
        f"{subject} that runs has written into {directory}: a role writes its file when it has started, and needs the "
        f"same user as this probe, and the same ${beacon_file.VARIABLE}, if that is set"
    )
