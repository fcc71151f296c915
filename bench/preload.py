"""``python -m bench.preload QUEUE TASK``: one message for each check of the roster, as the dispatcher sends them.

TASK is ``monitor.tasks.run_check``, which gets the check's name and no due time (so that none is overdue), or a task
without arguments.
"""

from __future__ import annotations

import sys

from monitor import wiring
from monitor.standalone.celery_app import app
from monitor.tasks.checks import RUN_CHECK
from monitor.tasks.publish import Publisher


def main() -> None:
    """Send them all to QUEUE, which nobody consumes: a RENAME releases them at once."""
    queue, task = sys.argv[1:]
    names = list(wiring.load().config.checks)
    arguments = [(name, None) for name in names] if task == RUN_CHECK else [()] * len(names)
    Publisher(app).send_all(task, arguments, queue=queue)


if __name__ == "__main__":
    main()
