"""A worker with pool processes that it forks. Prints which fork servers run their checks, in three rounds.

``python -m tests.system.executor.family BLOW``: after the first round the fork server gets the signal BLOW, and every
pool process loses its check process.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
from multiprocessing.synchronize import Barrier

import psutil

from monitor.executor import ProcessExecutor, pool
from tests.system.executor.test_executor import TARGET, check

PROCESSES = 3
CONTEXT = multiprocessing.get_context("fork")

executor = ProcessExecutor(TARGET)
barrier: Barrier = CONTEXT.Barrier(PROCESSES)


def fork_server(loses: bool) -> int:
    """Return the process id of the fork server that this pool process uses."""
    barrier.wait()  # each pool process gets one of these
    if loses:
        executor.run(check("dies", timeout=5))
    process = psutil.Process(executor.run(check("fine", timeout=5))[0].data["pid"])
    return process.ppid()


def main(blow: int) -> None:
    """Three rounds."""
    pool.FORK_SECONDS = 1.0
    rounds = []
    with CONTEXT.Pool(PROCESSES) as workers:
        for number in range(3):
            rounds.append(sorted(set(workers.map(fork_server, [number == 1] * PROCESSES, chunksize=1))))
            if number == 0:
                os.kill(rounds[0][0], blow)
        print(json.dumps(rounds))
    with contextlib.suppress(ProcessLookupError):  # a frozen one whose parent has not ended it
        os.kill(rounds[0][0], signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
