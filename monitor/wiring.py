"""Composition root of worker, beat and command line: builds store, executor and channels from the configuration."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr, ValidationError

from monitor.agent.identity import Identity
from monitor.alerts import text
from monitor.alerts.base import Permanent, Temporary
from monitor.alerts.registry import CHANNELS
from monitor.checks.process import MODULE
from monitor.checks.registry import KINDS, configured_options
from monitor.config import (
    ChannelSpec,
    CheckSpec,
    Config,
    ConfigError,
    ConfigProblem,
    Loaded,
    loading,
    problems_from_validation,
    standalone,
    unknown_hint,
)
from monitor.config.keys import COMMON_CHANNEL_KEYS, COMMON_CHECK_KEYS
from monitor.executor import ProcessExecutor
from monitor.lib.extras import install_command, missing_driver
from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import is_redis
from monitor.model.checks import Notice
from monitor.plugins.registry import UnknownPlugin
from monitor.policy.schedule import Plan
from monitor.ports.alerts import DeliveryFailure
from monitor.ports.executor import Executor
from monitor.ports.store import Send, Store
from monitor.project import discovery
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention

CHECK_PROCESS = "monitor.checks.process"

log = structlog.get_logger("monitor.alerts")


@dataclass(frozen=True)
class Runtime:
    """Configuration, and the objects built from it, that the tasks of one process use."""

    config: Config
    checks: Mapping[str, CheckSpec]
    plan: Plan
    store: Store
    executor: Executor
    senders: Mapping[str, Send] = field(default_factory=dict)
    project: Identity = Identity()  # noqa: RUF009 - frozen


def load(file: Path | None = None) -> Loaded:
    """Return the configuration. Its URLs and the options of its checks and channels are valid.

    Raises ConfigError with all problems.
    """
    try:
        loaded, problems = load_unvalidated(file), []
    except ConfigError as error:
        if error.rest is None:
            raise
        loaded, problems = error.rest, list(error.problems)
    problems += _url_problems(loaded)
    problems += [problem for check in loaded.config.checks.values() for problem in _option_problems(check, loaded)]
    problems += [
        problem for channel in loaded.config.channels.values() for problem in _channel_problems(channel, loaded)
    ]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return loaded


def load_unvalidated(file: Path | None = None) -> Loaded:
    """Return the configuration without validation of its URLs and options. Raises ConfigError.

    Used before the store is started, when its URL is not known yet.
    """
    if not os.environ.get(discovery.VARIABLE):
        os.environ.pop(discovery.VARIABLE, None)  # an empty variable counts as not set
    try:
        loaded = _load(file)
        if loaded.config.celery_app and _import_celery_app(loaded):
            loaded = _load(file)
        return loaded
    finally:
        # Set after the import, because the module of a Django project's Celery application may set this default first.
        os.environ.setdefault(discovery.VARIABLE, "monitor.settings")


@functools.cache
def runtime() -> Runtime:
    """Return the runtime of this process, which the first call builds. Opens no connection. Raises ConfigError."""
    config = with_reminders(load().config)
    checks = {name: with_configured_options(config, check) for name, check in config.checks.items()}
    senders = {name: build_sender(channel) for name, channel in config.channels.items()}
    return Runtime(
        config, checks, Plan(checks.values()), build_store(config), build_executor(config), senders, identity(config)
    )


def build_store(config: Config, *, timeout_seconds: float = 2.0) -> Store:
    """Return the configured Redis store. Raises ConfigError when ``redis_url`` is not set."""
    history = config.history
    return RedisStore(
        required_url(config, "redis_url"),
        prefix=config.key_prefix,
        timeout_seconds=timeout_seconds,
        retention=Retention(history.raw_seconds, history.rollups_seconds, config.history_memory_bytes, history.enabled),
        roster_size=len(config.checks),
    )


def identity(config: Config, *, data_dir: Path | None = None, makes_name: bool = False) -> Identity:
    """Return this project's identity. Without a project, it is the name that is stored in the data directory.

    With ``makes_name``, a name is generated and stored there if there is none.
    """
    configured = discovery.identity(config.project)
    return configured if configured.name else standalone.identity(data_dir or config.data_dir, creates_name=makes_name)


def build_executor(config: Config) -> ProcessExecutor:
    """Return an executor whose processes import, at their start, the kinds of the roster and the modules of users."""
    kinds = {check.kind for check in config.checks.values()}
    built = [
        KINDS.build(check.kind, with_configured_options(config, check).options) for check in config.checks.values()
    ]
    modules = {f"{MODULE}{module}" for kind in built for module in kind.modules()}
    return ProcessExecutor(CHECK_PROCESS, required=kinds, optional=modules)


def build_sender(spec: ChannelSpec) -> Send:
    """Return the function that renders a notice with the channel's templates and sends it."""
    channel = CHANNELS.build(spec.kind, spec.options)
    title, body = spec.title or text.DEFAULT_TITLE, spec.body or text.DEFAULT_BODY

    def send(notice: Notice) -> DeliveryFailure | None:
        try:
            channel.send(notice, text.render(notice, title, body), spec.timeout_seconds)
        except Permanent as failure:
            return DeliveryFailure(failure.reason, permanent=True)
        except Temporary as failure:
            return DeliveryFailure(failure.reason, retry_after_seconds=failure.retry_after_seconds)
        except Exception:
            # A notice that cannot be rendered or sent must not block the next notices of the channel.
            log.exception("alert.channel_failed", channel=spec.name, notice=notice.id)
            return DeliveryFailure("internal_error")
        return None

    return send


def with_reminders(config: Config) -> Config:
    """Return the configuration with the kind's default ``reminder`` for each channel that sets none."""
    defaults = {
        name: spec.model_copy(update={"reminder_seconds": CHANNELS.find(spec.kind).reminder_seconds})
        for name, spec in config.channels.items()
        if spec.reminder_seconds is None
    }
    return config.model_copy(update={"channels": {**config.channels, **defaults}})


def required_url(config: Config, key: str) -> str:
    """Return the URL of the setting ``key``. Raises ConfigError if it is not set."""
    value: SecretStr | None = getattr(config, key)
    if value is None:
        raise ConfigError([ConfigProblem(key, None, _missing_url_hint(config, key))])
    return value.get_secret_value()


def store_environment(config: Config) -> dict[str, str]:
    """Return the environment variables from which a process finds the store without the project's Celery application.

    Raises ConfigError when no store is configured.
    """
    return {"MONITOR_REDIS_URL": required_url(config, "redis_url"), "MONITOR_KEY_PREFIX": config.key_prefix}


def with_configured_options(config: Config, check: CheckSpec) -> CheckSpec:
    """Return the check with the options that default to a setting, such as its URL (`checks.base.from_config`)."""
    options = dict(check.options)
    for option, key in configured_options(check.kind).items():
        value = getattr(config, key)
        if option not in options and value is not None:
            options[option] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return check.model_copy(update={"options": options})


def _load(file: Path | None) -> Loaded:
    return loading.load(file=file, django_settings=discovery.explicit_settings(), project=discovery.derived_settings())


def _import_celery_app(loaded: Loaded) -> bool:
    """Import the project's Celery application. Return whether the import may have changed the project's settings.

    The imported module may call ``monitor.install(app)``, and may set ``DJANGO_SETTINGS_MODULE``.
    """
    dotted = loaded.config.celery_app or ""
    before = discovery.applications(), os.environ.get(discovery.VARIABLE)
    module, _, attribute = dotted.partition(":")
    try:
        app: Any = getattr(importlib.import_module(module), attribute or "app")
        discovery.from_celery(app)  # reads its configuration, which Celery loads lazily
    except Exception as error:
        hint = f"should be an importable Celery application, module:attribute ({type(error).__name__}: {error})"
        raise ConfigError([ConfigProblem("celery_app", dotted, hint, loaded.origin("celery_app"))]) from error
    discovery.prefer(app)
    return before != (discovery.applications(), os.environ.get(discovery.VARIABLE))


def _url_problems(loaded: Loaded) -> list[ConfigProblem]:
    """Return the problems that the client libraries report for the URLs of store and broker. Opens no connection."""
    problems, config = [], loaded.config
    try:
        if config.redis_url is not None:
            connection_pool(config.redis_url.get_secret_value(), timeout_seconds=1.0)
    except ValueError as error:
        problems.append(ConfigProblem("redis_url", None, str(error), loaded.origin("redis_url")))
    problems += _driver_problems(loaded)
    broker = config.broker_url.get_secret_value() if config.broker_url else None
    try:
        if broker is not None and not is_redis(broker):
            importlib.import_module("kombu.connection").Connection(broker).get_transport_cls()
    except (ValueError, LookupError, ImportError, AttributeError, TypeError) as error:
        hint = f"Celery cannot use this broker URL: {scrub(str(error))}"
        problems.append(ConfigProblem("broker_url", None, hint, loaded.origin("broker_url")))
    return problems


def _driver_problems(loaded: Loaded) -> list[ConfigProblem]:
    """Return a problem if the driver for `database_url` is not installed. A Django project does not use this URL."""
    url = loaded.config.database_url
    if url is None or os.environ.get(discovery.VARIABLE) != "monitor.settings":
        return []
    extra = missing_driver(url.get_secret_value().partition(":")[0])
    if extra is None:
        return []
    hint = f"its driver is not installed. Install it: {install_command(extra)}"
    return [ConfigProblem("database_url", None, hint, loaded.origin("database_url"))]


def _option_problems(check: CheckSpec, loaded: Loaded) -> list[ConfigProblem]:
    prefix = f"checks.{check.name}"
    try:
        resolved = with_configured_options(loaded.config, check)
        missing = {
            key
            for option, key in configured_options(check.kind).items()
            if key in _URLS and option not in resolved.options
        }
        if missing:
            return [ConfigProblem(key, None, _missing_url_hint(loaded.config, key)) for key in sorted(missing)]
        KINDS.build(check.kind, resolved.options)
    except UnknownPlugin as error:
        hint = unknown_hint(error.name, error.known, "kind")
        return [ConfigProblem(f"{prefix}.kind", error.name, hint, loaded.origin(f"{prefix}.kind"))]
    except ValidationError as error:
        known = {*KINDS.option_names(check.kind), *COMMON_CHECK_KEYS}
        return problems_from_validation(prefix, error, known, loaded.origins)
    return []


def _channel_problems(channel: ChannelSpec, loaded: Loaded) -> list[ConfigProblem]:
    prefix = f"channels.{channel.name}"
    problems = []
    for key in ("title", "body"):
        template: str | None = getattr(channel, key)
        if template is not None and (hint := text.template_problem(template)):
            problems.append(ConfigProblem(f"{prefix}.{key}", repr(template), hint, loaded.origin(f"{prefix}.{key}")))
    try:
        CHANNELS.build(channel.kind, channel.options)
    except UnknownPlugin as error:
        hint = unknown_hint(error.name, error.known, "kind")
        problems.append(ConfigProblem(f"{prefix}.kind", error.name, hint, loaded.origin(f"{prefix}.kind")))
    except ValidationError as error:
        known = {*CHANNELS.option_names(channel.kind), *COMMON_CHANNEL_KEYS}
        problems += problems_from_validation(prefix, error, known, loaded.origins)
    return problems


_URLS = {
    "redis_url": "the store: set MONITOR_REDIS_URL, or run `monitor up`, which starts its own",
    "broker_url": "the broker to watch: set MONITOR_BROKER_URL, MONITOR_CELERY_APP or MONITOR_REDIS_URL",
}
_URLS_WITH_APPLICATION = {
    "redis_url": "the store: set MONITOR_REDIS_URL, or run `monitor up`; the broker of {app} is not a single Redis",
    "broker_url": "the broker to watch: {app} configures none; set its broker_url, or MONITOR_BROKER_URL",
}


def _missing_url_hint(config: Config, key: str) -> str:
    """Return the hint about a missing URL, with the settings that would supply it."""
    if config.celery_app is None:
        return f"is required; {_URLS[key]}"
    return f"is required; {_URLS_WITH_APPLICATION[key].format(app=config.celery_app)}"
