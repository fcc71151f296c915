"""Settings outside of the roster.

A field's alias is its key in the configuration file. A field's description is its text in ``docs/configuration.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from monitor.agent.identity import NAME as PROJECT_NAME
from monitor.config.units import Bytes, CommaSeparated, Seconds
from monitor.config.urls import broker_url, celery_transport_options, celery_url, redis_url, url
from monitor.credentials.token_file import LEAST_CHARACTERS, is_sound
from monitor.lib import redis_urls


class FrozenModel(BaseModel):
    """Base of all configuration models: immutable, with known keys only, and without input values in error texts."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _expanded(path: Path) -> Path:
    return path.expanduser()


def _sound_token(token: SecretStr) -> SecretStr:
    if not is_sound(token.get_secret_value()):
        raise ValueError(
            f"should have at least {LEAST_CHARACTERS} printable ASCII characters, and no space at its ends"
        )
    return token


Url = Annotated[SecretStr, AfterValidator(url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(broker_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(redis_url)]
LogFormat = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)]


class HysteresisSettings(FrozenModel):
    """Thresholds that a check's results must reach before its status changes."""

    failure_threshold: int = Field(
        default=1,
        ge=1,
        description="number of consecutive worse results after which the status gets worse; with more than 1 a "
        "single failure is not reported, and a lasting one is reported later",
    )
    success_threshold: int = Field(
        default=1,
        ge=1,
        description="number of consecutive better results after which the status gets better; more than 1 avoids an "
        "early all-clear",
    )
    for_seconds: Seconds = Field(
        default=0.0,
        alias="for",
        ge=0,
        description="minimum time between the first and the last of the worse results, in addition to "
        "`failure_threshold`, before the status gets worse; 0 adds no delay",
    )
    retry_interval_seconds: Seconds | None = Field(
        default=None,
        alias="retry_interval",
        gt=0,
        description="time until the next run while worse results do not reach `failure_threshold` and `for` yet; "
        "without it the next run is at the usual interval",
    )


class CheckDefaults(HysteresisSettings):
    """Values of the keys that a check does not set itself."""

    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        gt=0,
        description="time between two runs of a check; shorter finds failures sooner and costs more runs",
    )
    timeout_seconds: Seconds = Field(
        default=5.0,
        alias="timeout",
        gt=0,
        description="time limit of a run, at most half of the check's interval; a run that takes longer is killed, "
        "and its result is error with the reason `timeout`",
    )
    stale_after: float = Field(
        default=3.0,
        ge=1,
        allow_inf_nan=False,
        description="number of intervals for which a result is valid; after that the check is `stale`. Near 1, a run "
        "that is a little late makes it stale",
    )


class WebSettings(FrozenModel):
    """The server of `monitor web` and `monitor up`."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="IP address or host name to listen on; `0.0.0.0` for all addresses of the machine. With the "
        "default only this machine reaches the server",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port to listen on; 0 selects a free port")
    allowed_hosts: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("localhost", "127.0.0.1", "[::1]"),
        description="values of the Host header for which pages are served, as in Django's `ALLOWED_HOSTS`; other "
        "hosts get 400. Probes are answered for any Host header",
    )
    banner: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="line at the top of the dashboard, such as the name of the system; without it there is no line",
    )


class SidecarSettings(FrozenModel):
    """The server of `monitor sidecar`."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - the kubelet connects from outside of the pod
        min_length=1,
        description="IP address or host name to listen on; a kubelet does not reach `127.0.0.1`",
    )
    port: int = Field(default=9011, ge=0, le=65535, description="TCP port to listen on; 0 selects a free port")


class WorkerSettings(FrozenModel):
    """Observation of the project's Celery workers, which need ``monitor.install(app)`` for it."""

    enabled: bool = Field(
        default=True,
        description="send heartbeats and judge workers and queues; with false there are no checks of workers, queues "
        "and hosts",
    )
    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        ge=0.5,
        description="time between two heartbeats; a beacon is written twice in it. A failing worker is reported within "
        "three intervals. Use the same value for the monitor and for the project's workers",
    )
    queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="names of queues that must be consumed, in addition to the lasting queues that an instrumented "
        "worker has declared. Every worker that consumes one of them needs `monitor.install(app)`: others log an "
        "unregistered task for each heartbeat",
    )
    return_within_seconds: Seconds = Field(
        default=120.0,
        alias="return_within",
        ge=0,
        description="time for which a queue may have no worker after the last one wrote a goodbye: until then the "
        "queue is `resting`, then `unconsumed`. Longer than a deployment takes; 0 reports each one",
    )
    may_rest: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="names or patterns, such as `video-*`, of queues that may have no worker for any time: such a "
        "queue is `unconsumed` only after a message has waited for `return_within`",
    )
    stuck_after_seconds: Seconds = Field(
        default=900.0,
        alias="stuck_after",
        gt=0,
        description="run time after which a task counts as stuck; a worker whose slots all hold stuck tasks is an "
        "error. Longer than the longest normal task",
    )
    stuck_after_by_task: Mapping[str, Seconds] = Field(
        default_factory=dict, description="`stuck_after` of single tasks: a table from the name of a task to a duration"
    )
    slow_after_seconds: Seconds = Field(
        default=60.0,
        alias="slow_after",
        gt=0,
        description="time that a heartbeat may wait in a queue; after it the queue is `slow`, a warning",
    )
    forget_after_seconds: Seconds = Field(
        default=600.0,
        alias="forget_after",
        gt=0,
        description="time for which a worker is shown after its goodbye, or after `forget_lost_after`; then its check "
        "is deleted",
    )
    forget_lost_after_seconds: Seconds = Field(
        default=3600.0,
        alias="forget_lost_after",
        gt=0,
        description="time for which a worker that vanished without a goodbye is an error; after it the worker counts "
        "as retired, and its alert is resolved",
    )
    critical: bool = Field(
        default=True,
        description="make the checks `workers` and `celery` an error if a queue is `unconsumed`; with false, a warning",
    )


class AlertingSettings(FrozenModel):
    """Times and limits of notifications, the same for all channels. The channels are the tables ``[channels.NAME]``."""

    flap_changes: int = Field(
        default=6,
        ge=3,
        description="number of changes of a check's severity within `flap_window` at which it is flapping: one "
        "notification reports that, and then none is sent until it settles",
    )
    flap_window_seconds: Seconds = Field(
        default=600.0,
        alias="flap_window",
        gt=0,
        description="time in which `flap_changes` are counted, and the time without a change after which a flapping "
        "check has settled",
    )
    retry_for_seconds: Seconds = Field(
        default=86_400.0,
        alias="retry_for",
        gt=0,
        description="time for which a failed delivery is repeated; after it the notification becomes a dead letter",
    )
    sweep_interval_seconds: Seconds = Field(
        default=5.0,
        alias="sweep_interval",
        ge=0.5,
        description="time between two sweeps, which find expired results, due reminders and retries, and ends of "
        "silences; longer delays these",
    )
    ping_url: Url | None = Field(
        default=None,
        description="http or https URL of a dead man's switch, such as Healthchecks.io; gets a GET request while the "
        "monitor itself works. Without it no ping is sent",
    )
    ping_interval_seconds: Seconds = Field(
        default=60.0,
        alias="ping_interval",
        ge=1,
        description="time between two pings of `ping_url`; the switch must wait for longer than this",
    )


class HistorySettings(FrozenModel):
    """Retention of observations. The setting ``history_memory`` limits the memory for all of them."""

    enabled: bool = Field(
        default=True,
        description="keep history; with false only current states are kept, and history requests are empty",
    )
    raw_seconds: Seconds = Field(
        default=86_400.0,
        alias="raw",
        ge=3600,
        le=31 * 86_400,
        description="time for which single observations are kept; less if `history_memory` does not suffice",
    )
    rollups_seconds: Seconds = Field(
        default=90 * 86_400.0,
        alias="rollups",
        ge=86_400,
        le=3660 * 86_400,
        description="time for which five-minute roll-ups are kept; less if `history_memory` does not suffice",
    )


class Settings(FrozenModel):
    """All settings except the tables of checks, groups, channels and maintenance."""

    redis_url: RedisUrl | None = Field(
        default=None,
        description=f"URL of the Redis that is the store: {redis_urls.FORMS}, such as {redis_urls.SENTINELS}. Without "
        "it, the project's broker if that is Redis. `REDIS_URL` is not read, so that the monitor writes into no Redis "
        "that was not named for it",
    )
    celery_app: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$",
        description="import path of the Celery application to watch, such as `project.celery:app`; broker and queues "
        "are read from it unless they are set here. A role does not start if it cannot be imported",
    )
    broker_url: BrokerUrl | None = Field(
        default_factory=lambda data: _default_broker(data.get("redis_url"), data.get("celery_app")),
        description="URL of the broker that is watched and that carries the monitor's own tasks: in Celery's form, or "
        "a Redis in any form of `redis_url`. Without it and `celery_app`, the store's Redis is the broker",
    )
    broker_transport_options: Mapping[str, Any] = Field(
        default_factory=lambda data: _default_transport_options(data.get("redis_url"), data.get("broker_url")),
        repr=False,
        description="options of the broker's transport, as in Celery's setting of the same name",
    )
    broker_queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("celery",),
        description="names of the queues whose waiting tasks the check `celery` counts; those of the project's Celery "
        "application if it is known",
    )
    database_url: Url | None = Field(
        default=None,
        description="URL of the database that the check `database` watches if there is no Django project, such as "
        "`postgresql://user:password@host/name`; `DATABASE_URL` is read as well",
    )
    key_prefix: str = Field(
        default="monitor:",
        pattern=r"^[^\s*?\[\]\\]{1,100}$",
        description="prefix of all keys in the store; two monitors with the same Redis database need different ones, "
        "and the project's workers need the monitor's",
    )
    project: str | None = Field(
        default=None,
        pattern=PROJECT_NAME,
        description="name of the project, by which two projects in one store are detected. Without it: the name of the "
        "Celery application, else the first component of the settings module, else a random name in `data_dir`",
    )
    queue: str = Field(
        default="monitor",
        pattern=r"^\S+$",
        description="name of the queue of the monitor's own tasks, and prefix of its queues `.dispatch` and "
        "`.rounds`; a queue of the project would mix them with its tasks",
    )
    history_memory_bytes: Bytes = Field(
        default=64 * 10**6,
        alias="history_memory",
        ge=10**6,
        description="most memory of the store that history, events and heartbeats may use; above it the oldest "
        "history is deleted first",
    )
    history: HistorySettings = Field(default_factory=HistorySettings)
    default_checks: bool = Field(
        default=True,
        description="run the default roster in addition to the configured checks; with false, only the configured "
        "checks",
    )
    defaults: CheckDefaults = Field(default_factory=CheckDefaults)
    worker_slots: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="number of checks that one monitor worker runs at the same time; with too few, checks that hang "
        "make others late and `stale`",
    )
    dispatch_interval_seconds: Seconds = Field(
        default=0.5,
        alias="dispatch_interval",
        ge=0.1,
        le=60,
        description="time between two dispatches of due checks; a run is late by up to this time. Not longer than the "
        "shortest interval of a check",
    )
    refresh_interval_seconds: Seconds = Field(
        default=0.25,
        alias="refresh_interval",
        ge=0.05,
        le=60,
        description="time between two reads of the store by a web process; responses are out of date by up to this "
        "time",
    )
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    alerting: AlertingSettings = Field(default_factory=AlertingSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    sidecar: SidecarSettings = Field(default_factory=SidecarSettings)
    token: Annotated[SecretStr, AfterValidator(_sound_token)] | None = Field(
        default=None,
        description=(
            "bearer token for all requests that show more than status, names, times and numbers: at least 16 printable "
            "ASCII characters. Without it, `monitor up` and `monitor web` create one in `data_dir`"
        ),
    )
    log_format: LogFormat = Field(
        default="auto", description="format of the log lines; `auto` is `console` on a terminal, else `json`"
    )
    log_level: LogLevel = Field(default="info", description="lowest level that is logged")
    data_dir: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None,
        description="directory of the token, of a standalone project's name and of the embedded Redis of `monitor up`; "
        "without it `monitor up` uses `.monitor` in the working directory",
    )


def _default_broker(store: SecretStr | None, celery_app: str | None) -> SecretStr | None:
    return celery_url(store) if store is not None and celery_app is None else None


def _default_transport_options(store: SecretStr | None, broker: SecretStr | None) -> dict[str, Any]:
    """Return the transport options of a broker URL that was derived from the store's; otherwise none."""
    return celery_transport_options(store) if store is not None and broker == celery_url(store) else {}
