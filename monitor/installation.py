"""The line a project adds to its ``celery.py``: ``monitor.install(app)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor import project
from monitor.agent import attach

if TYPE_CHECKING:
    from celery import Celery


def install(app: Celery, *, run_checks: bool = False) -> Celery:
    """Tell the monitor which Celery application it belongs to; returns the application.

    The monitor's roles then watch this application's broker and queues, and its workers tell of themselves: each
    gets a heartbeat task, a queue of its own and a beacon (docs/workers.md). Nothing else of the application is
    changed, unless ``run_checks`` is set: then its own beat and workers run the checks, and need no
    extra process (at a price: workers that are stuck can no longer report themselves).
    """
    project.remember(app)
    attach.to(app)
    if run_checks:
        _run_checks_in(app)
    _attach_to_beat(app, run_checks=run_checks)
    return app


def _attach_to_beat(app: Celery, *, run_checks: bool) -> None:
    from celery import signals  # noqa: PLC0415

    def attach_to_beat(sender: Any, **_: Any) -> None:
        if sender.app is not app:
            return
        from monitor.agent import former_entries  # noqa: PLC0415

        former_entries.remove_at_first_tick(sender.scheduler)
        if not run_checks:
            return
        from monitor import wiring  # noqa: PLC0415
        from monitor.tasks.registration import beat_schedule  # noqa: PLC0415
        from monitor.tasks.ticks import send_at_each_tick  # noqa: PLC0415

        send_at_each_tick(sender.scheduler, app, beat_schedule(wiring.load().config))

    # In beat only, once it has its scheduler. Celery logs what a receiver raises, and goes on: a wrong
    # configuration of ours does not stop the project's beat.
    signals.beat_init.connect(attach_to_beat, weak=False)


def _run_checks_in(app: Celery) -> None:
    from celery import signals  # noqa: PLC0415

    from monitor import wiring  # noqa: PLC0415
    from monitor.agent import own_queues  # noqa: PLC0415
    from monitor.tasks.base import all_queues  # noqa: PLC0415
    from monitor.tasks.registration import register  # noqa: PLC0415

    register(app, wiring.runtime)
    own_queues.install(app)

    def consume_our_queues(instance: Any, **_: Any) -> None:
        if instance.app is not app:
            return
        config = wiring.runtime().config  # built before the pool forks, so that its processes share one fork server
        own_queues.consume(app, all_queues(config))

    # In the worker only, before it connects.
    signals.celeryd_after_setup.connect(consume_our_queues, weak=False)
