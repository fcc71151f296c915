"""``monitor probe worker``: whether the workers of this container are alive, from the files that they write.

Neither Django nor Celery, neither redis nor click; not even `argparse` or `pathlib`: an exec probe starts this every
few seconds, in every worker's container.
"""

import sys

from monitor.agent import beacon_file, beacon_places, liveness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "usage: monitor probe worker [--name NODE]"
HELP = f"""{USAGE}

Whether the Celery workers on this machine (in this container) are alive: exit 0 when they are, 1 when a restart would
help, or when there is none. For exec probes in worker pods and Docker health checks; they need `monitor.install(app)`.

  --name NODE  only this one: celery@host, or what is before the @; without it the worst of all counts

It reads what each worker writes into ${beacon_file.VARIABLE}, or {beacon_file.directory()}.
"""


def main(arguments: "Sequence[str]") -> int:
    """Print one line about the worker that is worst off; 0 when it is alive, 1 when not, 2 for a wrong command line."""
    if "-h" in arguments or "--help" in arguments:
        sys.stdout.write(HELP)
        return 0
    try:
        name = _name(arguments)
    except ValueError as error:
        sys.stderr.write(f"{USAGE}\nmonitor probe worker: error: {error}\n")
        return 2
    alive, line = judge_workers(beacon_file.directory(), name)
    sys.stdout.write(f"{'ok' if alive else 'failed'}: {line}\n")
    return 0 if alive else 1


def judge_workers(directory: str, name: str | None) -> tuple[bool, str]:
    """Whether all workers there are alive (or the one of that name), and why, or why not, in one line."""
    try:
        seen = beacon_places.read(directory)
    except FileNotFoundError:
        seen = []
    except OSError as error:
        return False, f"cannot look for workers: {error}"
    if name is not None:
        seen = [sighting for sighting in seen if name in (sighting.node, sighting.node.partition("@")[0])]
    if not seen and (reason := beacon_places.full(directory)):
        return True, f"no worker is judged: none can write into {directory} ({reason})"
    if not seen:
        return False, _nobody(directory, name)
    found = [(*_judge(sighting, directory), sighting.node) for sighting in seen]
    alive, why, node = min(found, key=lambda one: one[0])
    more = f" (and {len(found) - 1} more)" if alive and len(found) > 1 else ""
    return alive, f"{node} {why}{more}"


def _judge(sighting: beacon_file.LocalWorker, directory: str) -> tuple[bool, str]:
    alive, why = liveness.judge(sighting.pulse, sighting.age_seconds)
    stands_still = not alive and sighting.age_seconds > sighting.pulse.late_after_seconds
    if stands_still and (reason := beacon_places.full(directory)):
        return True, f"is not judged: it cannot write into {directory} ({reason})"
    return alive, why


def _nobody(directory: str, name: str | None) -> str:
    who = "no worker" if name is None else f"no worker {name}"
    return (
        f"{who} that runs has written into {directory}: it needs `monitor.install(app)`, the same user as this probe, "
        f"and the same ${beacon_file.VARIABLE}, if that is set"
    )


def _name(arguments: "Sequence[str]") -> str | None:
    match list(arguments):
        case []:
            return None
        case ["--name", name] if name:
            return name
        case [argument] if argument.startswith("--name=") and argument != "--name=":
            return argument.removeprefix("--name=")
        case ["--name", *_] | ["--name="]:
            raise ValueError("--name needs one node name")
        case [argument, *_]:
            raise ValueError(f"unknown argument: {argument}")
    raise AssertionError
