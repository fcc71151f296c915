"""``monitor probe worker``: liveness probe of the Celery workers in this container, from files that the workers write.

An exec probe runs the command every few seconds in the container of every worker. So that the command starts fast, the
module does not import Django, Celery, redis, click, `argparse` or `pathlib`.
"""

import sys

from monitor.agent import beacon_file, beacon_places, liveness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "usage: monitor probe worker [--name NODE]"
HELP = f"""{USAGE}

Check that the Celery workers on this machine (in this container) are alive. Exit 0 if all are alive, 1 if a worker is
not alive (a restart would help) or if there is no worker. For exec probes of worker pods and for Docker health checks.
The workers need `monitor.install(app)`.

  --name NODE  check only the worker NODE: celery@host, or the name before the @ (default: all workers)

The probe reads the files that each worker writes into ${beacon_file.VARIABLE}, or {beacon_file.directory()}.
"""


def main(arguments: "Sequence[str]") -> int:
    """Print one line about the workers, and return the exit code.

    Return 0 if all are alive, 1 if a worker is not alive or if there is no worker, 2 if the arguments are invalid.
    """
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
    """Return whether all workers are alive, and the reason in one line.

    With ``name``, only the workers with this name are judged. ``directory`` contains the files of the workers. If no
    worker can write a file there, such as on a full disk, return True: a restart would not help.
    """
    try:
        workers = beacon_places.read(directory)
    except FileNotFoundError:
        workers = []
    except OSError as error:
        return False, f"cannot read the files of workers: {error}"
    if name is not None:
        workers = [worker for worker in workers if name in (worker.node, worker.node.partition("@")[0])]
    if not workers and (reason := beacon_places.why_not_writable(directory)):
        return True, f"no worker is judged: none can write into {directory} ({reason})"
    if not workers:
        return False, _no_worker_text(directory, name)
    judged = [(*_judge(worker, directory), worker.node) for worker in workers]
    alive, reason, node = min(judged, key=lambda worker: worker[0])  # a worker that is not alive, if there is one
    more = f" (and {len(judged) - 1} more)" if alive and len(judged) > 1 else ""
    return alive, f"{node} {reason}{more}"


def _judge(worker: beacon_file.LocalWorker, directory: str) -> tuple[bool, str]:
    alive, why = liveness.judge(worker.sample, worker.age_seconds)
    is_out_of_date = not alive and worker.age_seconds > worker.sample.late_after_seconds
    if is_out_of_date and (reason := beacon_places.why_not_writable(directory)):
        return True, f"is not judged: it cannot write into {directory} ({reason})"
    return alive, why


def _no_worker_text(directory: str, name: str | None) -> str:
    subject = "no worker" if name is None else f"no worker {name}"
    return (
        f"{subject} that runs has written into {directory}: it needs `monitor.install(app)`, the same user as this "
        f"probe, and the same ${beacon_file.VARIABLE}, if that is set"
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
