"""The settings outside the roster. A field's alias is its key in a file, its description is its documentation."""

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
    """A value of the configuration: cannot be changed, knows its keys, keeps wrong input out of its errors' texts."""

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
    """How many results it takes to change a check's status."""

    failure_threshold: int = Field(default=1, ge=1, description="consecutive worse results before the state gets worse")
    success_threshold: int = Field(
        default=1, ge=1, description="consecutive better results before the state gets better"
    )
    for_seconds: Seconds = Field(
        default=0.0, alias="for", ge=0, description="a worse status must have lasted this long as well"
    )
    retry_interval_seconds: Seconds | None = Field(
        default=None,
        alias="retry_interval",
        gt=0,
        description="look again this soon while a failure is being confirmed",
    )


class CheckDefaults(HysteresisSettings):
    """What a check gets that does not say otherwise."""

    interval_seconds: Seconds = Field(default=10.0, alias="interval", gt=0, description="time between two runs")
    timeout_seconds: Seconds = Field(
        default=5.0,
        alias="timeout",
        gt=0,
        description="a run that takes longer is ended; never more than half of the interval",
    )
    stale_after: float = Field(
        default=3.0, ge=1, allow_inf_nan=False, description="how long a result may be believed, in intervals"
    )


class WebSettings(FrozenModel):
    """Our own server."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 for all")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 for any free one")
    allowed_hosts: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("localhost", "127.0.0.1", "[::1]"),
        description="the hosts for which it serves pages; probes are answered whatever the Host header says",
    )
    banner: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="a line above everything on the dashboard: which system this is, or that it is only a test",
    )


class SidecarSettings(FrozenModel):
    """The server of `monitor sidecar`."""

    host: str = Field(default="0.0.0.0", min_length=1, description="address to listen on")  # noqa: S104 - the kubelet asks from outside of the pod
    port: int = Field(default=9011, ge=0, le=65535, description="port to listen on; 0 for any free one")


class WorkerSettings(FrozenModel):
    """The project's Celery workers, which tell of themselves once they have ``monitor.install(app)``."""

    enabled: bool = Field(default=True, description="whether heartbeats are sent, and workers and queues judged")
    interval_seconds: Seconds = Field(
        default=10.0, alias="interval", ge=0.5, description="time between two heartbeats, and two beacons"
    )
    queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="queues that must be consumed, besides the lasting ones that an instrumented worker has declared; "
        "every worker that consumes one of them needs `monitor.install(app)`",
    )
    return_within_seconds: Seconds = Field(
        default=120.0,
        alias="return_within",
        ge=0,
        description="how long a queue may be without a worker once its last one said goodbye: until then it is "
        "`resting`, then `unconsumed`",
    )
    may_rest: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="queues that may be without a worker for longer, as patterns such as `video-*`: `unconsumed` only "
        "once messages have waited for `return_within`",
    )
    stuck_after_seconds: Seconds = Field(
        default=900.0, alias="stuck_after", gt=0, description="a task that runs longer is stuck"
    )
    stuck_after_by_task: Mapping[str, Seconds] = Field(
        default_factory=dict, description="the same for single tasks, by name"
    )
    slow_after_seconds: Seconds = Field(
        default=60.0, alias="slow_after", gt=0, description="a queue whose messages wait longer is slow"
    )
    forget_after_seconds: Seconds = Field(
        default=600.0, alias="forget_after", gt=0, description="how long a worker that said goodbye is still shown"
    )
    forget_lost_after_seconds: Seconds = Field(
        default=3600.0, alias="forget_lost_after", gt=0, description="how long a worker that vanished is an alarm"
    )
    critical: bool = Field(
        default=True, description="whether a queue that nobody consumes makes the check `celery` an error"
    )


class AlertingSettings(FrozenModel):
    """When somebody is told. To whom: the tables ``[channels.NAME]``."""

    flap_changes: int = Field(default=6, ge=3, description="changes of status within `flap_window` that are flapping")
    flap_window_seconds: Seconds = Field(
        default=600.0, alias="flap_window", gt=0, description="and how long it must then be quiet to have settled"
    )
    retry_for_seconds: Seconds = Field(
        default=86_400.0, alias="retry_for", gt=0, description="how long a delivery is tried before it is a dead letter"
    )
    sweep_interval_seconds: Seconds = Field(
        default=5.0, alias="sweep_interval", ge=0.5, description="how often what was missed is looked for"
    )
    ping_url: Url | None = Field(
        default=None,
        description="dead-man's switch: asked (GET) while the monitor itself is whole (Healthchecks.io and its like)",
    )
    ping_interval_seconds: Seconds = Field(
        default=60.0, alias="ping_interval", ge=1, description="time between two such pings"
    )


class HistorySettings(FrozenModel):
    """What is kept of the past. How much memory all of it may take: ``history_memory``."""

    enabled: bool = Field(default=True, description="whether the past is kept; without it only the present is known")
    raw_seconds: Seconds = Field(
        default=86_400.0, alias="raw", ge=3600, le=31 * 86_400, description="how long every single observation is kept"
    )
    rollups_seconds: Seconds = Field(
        default=90 * 86_400.0,
        alias="rollups",
        ge=86_400,
        le=3660 * 86_400,
        description="how long five-minute roll-ups are kept",
    )


class Settings(FrozenModel):
    """Everything that is configured, except the checks and groups."""

    redis_url: RedisUrl | None = Field(
        default=None,
        description=f"the store: {redis_urls.FORMS}, as in {redis_urls.SENTINELS}. `REDIS_URL` is not read: "
        "where the monitor writes is said on purpose",
    )
    celery_app: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$",
        description="the Celery app to watch, as `project.celery:app`, when its broker is not named here",
    )
    broker_url: BrokerUrl | None = Field(
        default_factory=lambda data: _broker_of(data.get("redis_url"), data.get("celery_app")),
        description="the broker that is watched and that carries the monitor's own tasks, as Celery takes it, or a "
        "Redis in any form of `redis_url`; the store's Redis when neither it nor `celery_app` is given",
    )
    broker_transport_options: Mapping[str, Any] = Field(
        default_factory=lambda data: _transport_options_of(data.get("redis_url"), data.get("broker_url")),
        repr=False,
        description="Celery's setting of that name, for the broker that is watched",
    )
    broker_queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("celery",), description="the queues to watch; those of the project's Celery app when it is known"
    )
    database_url: Url | None = Field(
        default=None,
        description="the database to watch when there is no Django project; `DATABASE_URL` is read as well",
    )
    key_prefix: str = Field(
        default="monitor:", pattern=r"^[^\s*?\[\]\\]{1,100}$", description="what all keys in the store begin with"
    )
    project: str | None = Field(
        default=None,
        pattern=PROJECT_NAME,
        description="the name of the project, so that two of them in one store are noticed: by default that of the "
        "Celery app, else the first part of the settings module, else a random one in the data directory",
    )
    queue: str = Field(default="monitor", pattern=r"^\S+$", description="the queue of the monitor's own tasks")
    history_memory_bytes: Bytes = Field(
        default=64 * 10**6,
        alias="history_memory",
        ge=10**6,
        description="memory for history, events and heartbeats in the store",
    )
    history: HistorySettings = Field(default_factory=HistorySettings)
    default_checks: bool = Field(
        default=True, description="whether the default roster runs besides the checks configured here"
    )
    defaults: CheckDefaults = Field(default_factory=CheckDefaults)
    worker_slots: int = Field(default=16, ge=1, le=1000, description="checks that one worker runs at the same time")
    dispatch_interval_seconds: Seconds = Field(
        default=0.5,
        alias="dispatch_interval",
        ge=0.1,
        le=60,
        description="how often beat looks for checks that are due",
    )
    refresh_interval_seconds: Seconds = Field(
        default=0.25, alias="refresh_interval", ge=0.05, le=60, description="how often a web process reads the store"
    )
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    alerting: AlertingSettings = Field(default_factory=AlertingSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    sidecar: SidecarSettings = Field(default_factory=SidecarSettings)
    token: Annotated[SecretStr, AfterValidator(_sound_token)] | None = Field(
        default=None,
        description=(
            "bearer token for everything that shows more than status, names, times and numbers: at least 16 printable "
            "ASCII characters; `monitor up` and `monitor web` make one in `data_dir` when none is set"
        ),
    )
    log_format: LogFormat = Field(
        default="auto", description="json, console, or auto: console on a terminal, else json"
    )
    log_level: LogLevel = Field(default="info", description="least level that is logged")
    data_dir: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None, description="where `monitor up` keeps its data; it chooses when not given"
    )


def _broker_of(store: SecretStr | None, celery_app: str | None) -> SecretStr | None:
    return celery_url(store) if store is not None and celery_app is None else None


def _transport_options_of(store: SecretStr | None, broker: SecretStr | None) -> dict[str, Any]:
    """What belongs to a broker URL that was made of the store's."""
    return celery_transport_options(store) if store is not None and broker == celery_url(store) else {}
