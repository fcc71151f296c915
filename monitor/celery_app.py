"""Our own Celery application, for the roles ``worker`` and ``beat`` (and ``celery -A monitor ...``)."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from monitor import logs, tasks, wiring


def build() -> Celery:
    """The application, configured. Raises ConfigError. Connects to nothing."""
    # No fixups: the Django one sets Django up and closes connections around every task, and none of ours uses any.
    app = Celery("monitor", fixups=[])
    app.conf.update(settings())
    tasks.register(app, wiring.runtime)
    return app


def settings() -> dict[str, Any]:
    """What `celeryconfig.py` shows, too: every Celery setting that is not left at its default."""
    config = wiring.load().config
    return {
        "broker_url": wiring.required_url(config, "broker_url"),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # The transport has no timeout of its own: a half-open connection would silence us for ever.
        "broker_transport_options": {
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            **config.broker_transport_options,
        },
        "beat_schedule": tasks.beat_schedule(config),
        "task_default_queue": config.queue,
        "task_ignore_result": True,
        "result_backend": None,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_prefetch_multiplier": 4,
        "worker_concurrency": config.worker_slots,
        "worker_pool": "threads",
        "worker_hijack_root_logger": False,
    }


@signals.setup_logging.connect(weak=False)
def _setup_logging(**_: Any) -> None:
    config = wiring.load().config
    logs.configure(config.log_format, config.log_level)


app = build()
