"""Installation of the monitor in a project: ``monitor.install(app)`` in its ``celery.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.agent import attach
from monitor.lib import extras
from monitor.project import discovery

if TYPE_CHECKING:
    from celery import Celery


def install(app: Celery, *, run_checks: bool = False) -> Celery:
    """Register a project's Celery application with the monitor, and return the application.

    The monitor's roles then watch this application's broker and queues. Each worker of the application gets a heartbeat
    task, a direct queue and a beacon thread (docs/workers.md). Nothing else in the application changes.

    With ``run_checks`` the application's own beat and workers run the checks, so that the monitor needs no beat and no
    worker of its own. The disadvantage: workers that are stuck cannot report that they are stuck. The extra ``server``
    must then be installed in the project's environment; without it, MissingExtra is raised.
    """
    if run_checks:
        extras.require("server", "monitor.install(app, run_checks=True)")
    discovery.add_application(app)
    attach.instrument(app)
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

    # Celery sends this signal in beat only, when the scheduler exists. Celery logs exceptions of receivers and
    # continues, so an invalid configuration of the monitor does not stop the project's beat.
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
        # The runtime is created before the pool forks, so that the pool's processes share one fork server.
        config = wiring.runtime().config
        own_queues.set_queues(app, all_queues(config))

    # Celery sends this signal in workers only, before they connect.
    signals.celeryd_after_setup.connect(consume_our_queues, weak=False)
