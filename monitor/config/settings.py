"""Models of all settings except the tables of checks, groups, channels and maintenance.

A field's alias is its key in the configuration file. A field's description is its text in ``docs/configuration.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from monitor.agent.identity import NAME as PROJECT_NAME
from monitor.config.units import Bytes, CommaSeparated, Seconds, default_from
from monitor.config.urls import (
    celery_transport_options,
    celery_url,
    redis_py_url,
    validated_broker_url,
    validated_http_url,
    validated_url,
)
from monitor.credentials.token_file import LEAST_CHARACTERS, is_sound
from monitor.lib import redis_urls


class FrozenModel(BaseModel):
    """Base of all configuration models.

    Instances are immutable. An unknown key is an error. Error texts do not contain the input, which may be a secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def _lowercase(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _expanded(path: Path) -> Path:
    return path.expanduser()


def _validated_token(token: SecretStr) -> SecretStr:
    if not is_sound(token.get_secret_value()):
        raise ValueError(
            f"should have at least {LEAST_CHARACTERS} printable ASCII characters, and no space at its ends"
        )
    return token


Url = Annotated[SecretStr, AfterValidator(validated_url)]
HttpUrl = Annotated[SecretStr, AfterValidator(validated_http_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(validated_broker_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(redis_py_url)]
LogFormat = Annotated[Literal["auto", "json", "console"], BeforeValidator(_lowercase)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lowercase)]


class HysteresisSettings(FrozenModel):
    """Thresholds that a check's results must reach before its status changes."""

    failure_threshold: int = Field(
        default=1,
        ge=1,
        description="number of consecutive results, all worse than the status, after which the status gets worse. With "
        "a value above 1, a single failed run does not change the status, and a lasting failure is reported later",
    )
    success_threshold: int = Field(
        default=1,
        ge=1,
        description="number of consecutive results, all better than the status, after which the status gets better. "
        "With a value above 1, a single good run during a failure does not change the status",
    )
    for_seconds: Seconds = Field(
        default=0.0,
        alias="for",
        ge=0,
        description="time from the first to the last of the consecutive worse results that must pass before the status "
        "gets worse. The status gets worse only when both this time and `failure_threshold` are reached. With 0, only "
        "`failure_threshold` counts. The very first result of a check also waits for this time, unless it is an error "
        "of a critical check",
    )
    retry_interval_seconds: Seconds | None = Field(
        default=None,
        alias="retry_interval",
        gt=0,
        description="time until the next run after a worse result that has not changed the status yet, because "
        "`failure_threshold` or `for` is not reached. If it is not set, the next run is at the usual interval",
    )


class CheckDefaults(HysteresisSettings):
    """Values of the keys that a check does not set itself."""

    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        gt=0,
        description="time between two runs of a check. A shorter interval finds failures sooner and causes more runs",
    )
    timeout_seconds: Seconds = Field(
        default=5.0,
        alias="timeout",
        gt=0,
        description="time limit of a run, for checks that set no `timeout`. If half of the interval of such a check is "
        "shorter, the limit is half of the interval. A run that takes longer is killed, and its result is `error` with "
        "the reason `timeout`",
    )
    stale_after: float = Field(
        default=3.0,
        ge=1,
        allow_inf_nan=False,
        description="number of intervals for which a result is valid. If there is no new result within this time, the "
        "check is `stale`. With a value near 1, the check is `stale` as soon as one run is a little late",
    )


class WebSettings(FrozenModel):
    """The server of `monitor web` and `monitor up`."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="IP address or host name to listen on. `0.0.0.0` listens on all addresses of the machine. With the "
        "default, only programs on this machine can connect",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port to listen on; 0 selects a free port")
    allowed_hosts: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("localhost", "127.0.0.1", "[::1]"),
        description="accepted values of the Host header, as in Django's `ALLOWED_HOSTS`. A request with another "
        "value gets 400. Probes accept any Host header",
    )
    banner: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="text at the top of the dashboard, such as the name of the system. Default: no text",
    )


class SidecarSettings(FrozenModel):
    """The server of `monitor sidecar`."""

    host: str = Field(
        default="0.0.0.0",  # noqa: S104 - the kubelet connects from outside of the pod
        min_length=1,
        description="IP address or host name to listen on. Do not use `127.0.0.1` in a pod: the kubelet connects from "
        "outside of the pod",
    )
    port: int = Field(default=9011, ge=0, le=65535, description="TCP port to listen on; 0 selects a free port")


class WorkerSettings(FrozenModel):
    """Observation of the project's Celery workers. Each worker needs the agent: ``monitor.install(app)``."""

    enabled: bool = Field(
        default=True,
        description="send heartbeats, and create a check for each worker, queue and host. With false there are no such "
        "checks",
    )
    interval_seconds: Seconds = Field(
        default=10.0,
        alias="interval",
        ge=0.5,
        description="time between two heartbeats to a worker or queue. Each worker writes two beacons in this time. A "
        "failing worker is reported within three intervals. Use the same value for the monitor and for the project's "
        "workers",
    )
    queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="names of queues that must be consumed, in addition to the lasting queues that workers with the "
        "agent report. Each worker that consumes one of these queues needs `monitor.install(app)`: a worker without "
        "the agent logs an unregistered task for each heartbeat",
    )
    return_within_seconds: Seconds = Field(
        default=120.0,
        alias="return_within",
        ge=0,
        description="time for which a queue may have no worker after its last worker was shut down and wrote a "
        "goodbye. During this time the queue is `resting`, afterwards it is `unconsumed`. Set this to more than the "
        "time that a deployment takes. With 0, a queue is an error in each deployment that leaves it without a worker",
    )
    may_rest: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=(),
        description="names or patterns, such as `video-*`, of queues that may be without a worker for any time. "
        "Without a worker, such a queue is `unconsumed` only after a message has waited in it for `return_within`",
    )
    stuck_after_seconds: Seconds = Field(
        default=900.0,
        alias="stuck_after",
        gt=0,
        description="run time after which a task counts as stuck. A worker is an error if all of its slots hold stuck "
        "tasks. Set `stuck_after` to more than the longest normal run time of a task",
    )
    stuck_after_by_task: Mapping[str, Seconds] = Field(
        default_factory=dict,
        description="table from the name of a task to a duration. For a task in this table, the duration replaces "
        "`stuck_after`",
    )
    slow_after_seconds: Seconds = Field(
        default=60.0,
        alias="slow_after",
        gt=0,
        description="time that a heartbeat may wait in a queue. After this time the queue is `slow`, a warning",
    )
    forget_after_seconds: Seconds = Field(
        default=600.0,
        alias="forget_after",
        gt=0,
        description="time for which a worker is still shown after its goodbye. Then the check of the worker is "
        "deleted. For a worker without a goodbye, this time begins when `forget_lost_after` has passed",
    )
    forget_lost_after_seconds: Seconds = Field(
        default=3600.0,
        alias="forget_lost_after",
        gt=0,
        description="time for which a worker that disappeared without a goodbye is an error. After this time the "
        "worker counts as retired, and a notification reports the end of its failure",
    )
    critical: bool = Field(
        default=True,
        description="with true, the checks `workers` and `celery` are an error if a queue is `unconsumed`. With false, "
        "they are a warning",
    )


class AlertingSettings(FrozenModel):
    """Times and limits of notifications, the same for all channels. The channels are the tables ``[channels.NAME]``."""

    flap_changes: int = Field(
        default=6,
        ge=3,
        description="number of changes of a check's status between ok, warning and error within `flap_window` at which "
        "the check is flapping. One notification reports that the check is flapping. The next notification is sent "
        "when the check has settled",
    )
    flap_window_seconds: Seconds = Field(
        default=600.0,
        alias="flap_window",
        gt=0,
        description="time in which the changes for `flap_changes` are counted. A flapping check has settled when its "
        "status has not changed between ok, warning and error for this time",
    )
    retry_for_seconds: Seconds = Field(
        default=86_400.0,
        alias="retry_for",
        gt=0,
        description="time for which a failed delivery is repeated. After this time the notification becomes a dead "
        "letter",
    )
    sweep_interval_seconds: Seconds = Field(
        default=5.0,
        alias="sweep_interval",
        ge=0.5,
        description="time between two sweeps. A sweep finds expired results, due reminders and retries, and silences "
        "that have ended. A longer interval delays the notifications about them",
    )
    ping_url: HttpUrl | None = Field(
        default=None,
        description="http or https URL of a dead man's switch, such as Healthchecks.io. The monitor sends a GET "
        "request (a ping) to the URL as long as the monitor itself works. If the URL is not set, no ping is sent",
    )
    ping_interval_seconds: Seconds = Field(
        default=60.0,
        alias="ping_interval",
        ge=1,
        description="time between two pings of `ping_url`. In the dead man's switch, set a longer time until its alarm",
    )


class HistorySettings(FrozenModel):
    """Retention of observations. The setting ``history_memory`` limits the memory that they may use in the store."""

    enabled: bool = Field(
        default=True,
        description="keep the history of the checks. With false, only current states are kept, and responses about "
        "history are empty",
    )
    raw_seconds: Seconds = Field(
        default=86_400.0,
        alias="raw",
        ge=3600,
        le=31 * 86_400,
        description="time for which single observations are kept. They are deleted earlier if they need more than "
        "`history_memory`",
    )
    rollups_seconds: Seconds = Field(
        default=90 * 86_400.0,
        alias="rollups",
        ge=86_400,
        le=3660 * 86_400,
        description="time for which five-minute roll-ups are kept. They are deleted earlier if they need more than "
        "`history_memory`",
    )


def _default_broker(data: Mapping[str, Any]) -> SecretStr | None:
    store: SecretStr | None = data.get("redis_url")
    return celery_url(store) if store is not None and data.get("celery_app") is None else None


def _default_transport_options(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the transport options of the store's URL if the broker is the store, otherwise an empty dict."""
    store: SecretStr | None = data.get("redis_url")
    if store is None or data.get("broker_url") != celery_url(store):
        return {}
    return celery_transport_options(store)


class Settings(FrozenModel):
    """All settings except the tables of checks, groups, channels and maintenance."""

    redis_url: RedisUrl | None = Field(
        default=None,
        description=f"URL of the Redis that is the store: {redis_urls.FORMS}, such as {redis_urls.SENTINELS}. Default: "
        "the project's broker, if the broker is Redis. The variable `REDIS_URL` is not read: the monitor writes only "
        "into a Redis that was configured for it",
    )
    celery_app: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?$",
        description="import path of the Celery application to watch, such as `project.celery:app`. The monitor uses "
        "the broker and the queues of the application, unless `broker_url` and `broker_queues` are set. If the "
        "application cannot be imported, no role starts",
    )
    broker_url: Annotated[BrokerUrl | None, default_from(_default_broker)] = Field(
        default=None,
        validate_default=True,
        description="URL of the broker that the monitor watches and to which it sends its own tasks: any URL that "
        "Celery accepts, or any URL of a Redis that `redis_url` accepts. If neither `broker_url` nor `celery_app` is "
        "set, the broker is the Redis of the store",
    )
    broker_transport_options: Annotated[Mapping[str, Any], default_from(_default_transport_options)] = Field(
        default=None,
        validate_default=True,
        repr=False,
        description="options of the broker's transport, as in Celery's setting `broker_transport_options`",
    )
    broker_queues: Annotated[tuple[str, ...], CommaSeparated] = Field(
        default=("celery",),
        description="names of the queues whose waiting tasks the check `celery` counts. Default in a Django project: "
        "the queues in `CELERY_TASK_QUEUES`, `CELERY_TASK_DEFAULT_QUEUE`, `CELERY_TASK_ROUTES` and "
        "`CELERY_BEAT_SCHEDULE`, or in the same settings of the Celery application if the monitor knows it. Unless "
        "`broker_queues` is set, the queues that workers with the agent declare are counted, too, up to 100 in all",
    )
    database_url: Url | None = Field(
        default=None,
        description="URL of the database that the check `database` watches, such as "
        "`postgresql://user:password@host/name`. Not used in a Django project. The variable `MONITOR_DATABASE_URL` "
        "overrides `DATABASE_URL`. If no URL is set, the check uses a SQLite database of its own",
    )
    key_prefix: str = Field(
        default="monitor:",
        pattern=r"^[^\s*?\[\]\\]{1,100}$",
        description="prefix of all keys in the store. Two monitors in one Redis database need different prefixes. The "
        "project's workers need the same prefix as their monitor",
    )
    project: str | None = Field(
        default=None,
        pattern=PROJECT_NAME,
        description="name of the project. The monitor stores it, to detect that two projects use one store. Default: "
        "the name of the Celery application. Without an application: the first component of the name of the settings "
        "module. Without both: a random name, which is stored in `data_dir`",
    )
    queue: str = Field(
        default="monitor",
        pattern=r"^\S+$",
        description="name of the queue of the monitor's own tasks. Two more queues have this name with the suffix "
        "`.dispatch` or `.rounds`. Do not use the name of a queue of the project: the workers of this queue would "
        "receive the monitor's tasks",
    )
    history_memory_bytes: Bytes = Field(
        default=64 * 10**6,
        alias="history_memory",
        ge=10**6,
        description="upper limit of the memory that history, events and heartbeats use in the store. Above the limit, "
        "the oldest history is deleted first",
    )
    history: HistorySettings = Field(default_factory=HistorySettings)
    default_checks: bool = Field(
        default=True,
        description="with true, the default roster runs in addition to the configured checks. With false, only the "
        "configured checks run",
    )
    defaults: CheckDefaults = Field(default_factory=CheckDefaults)
    worker_slots: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="number of checks that one worker of the monitor runs at the same time. If the number is too low, "
        "checks that hang delay other checks, and the delayed checks turn `stale`",
    )
    import_limit_seconds: Seconds = Field(
        default=600.0,
        alias="import_limit",
        gt=0,
        description="time that importing the project may take. Until then the monitor waits: no check runs, and the "
        "reason of each check without a valid result is `importing`. After this time the process that imports is "
        "killed, and a new one starts. Set a longer time on a machine where the project's own processes start more "
        "slowly",
    )
    dispatch_interval_seconds: Seconds = Field(
        default=0.5,
        alias="dispatch_interval",
        ge=0.1,
        le=60,
        description="time between two dispatches of due checks. A run may start late by up to this time. It is an "
        "error if this time is longer than the interval of a check",
    )
    refresh_interval_seconds: Seconds = Field(
        default=0.25,
        alias="refresh_interval",
        ge=0.05,
        le=60,
        description="time between two reads of the store by a web process. A response may be out of date by up to "
        "this time",
    )
    workers: WorkerSettings = Field(default_factory=WorkerSettings)
    alerting: AlertingSettings = Field(default_factory=AlertingSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    sidecar: SidecarSettings = Field(default_factory=SidecarSettings)
    token: Annotated[SecretStr, AfterValidator(_validated_token)] | None = Field(
        default=None,
        description=(
            "bearer token with at least 16 printable ASCII characters. It is required for all requests whose response "
            "contains more than status, names, times and numbers. If it is not set, `monitor up` and `monitor web` "
            "create a token in `data_dir`"
        ),
    )
    log_format: LogFormat = Field(
        default="auto", description="format of the log lines. `auto` selects `console` on a terminal, otherwise `json`"
    )
    log_level: LogLevel = Field(default="info", description="lowest level of the log events that are logged")
    data_dir: Annotated[Path, AfterValidator(_expanded)] | None = Field(
        default=None,
        description="directory in which the monitor stores its token, the random name of a monitor without a project, "
        "and the data of the embedded Redis of `monitor up`. If `data_dir` is not set, `monitor up` uses `.monitor` in "
        "the working directory",
    )
