"""Composition root of worker, beat and command line: builds store, executor and channels from the configuration."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

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
from monitor.config.layers import CELERY_ORIGIN
from monitor.config.model import DEFAULT_ORIGIN
from monitor.executor import ProcessExecutor
from monitor.lib import logs
from monitor.lib.extras import install_command, missing_driver
from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import is_redis
from monitor.model.checks import Notice
from monitor.plugins.registry import Registry, UnknownPlugin
from monitor.policy.schedule import Plan
from monitor.ports.alerts import DeliveryFailure
from monitor.ports.executor import Executor
from monitor.ports.store import Ownership, Send, Store, StoreUnavailable
from monitor.project import discovery, stored_facts
from monitor.project.facts import ProjectFacts
from monitor.project.reader import ProjectReader, project_reader
from monitor.project.stored_facts import Origin
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention

CHECK_PROCESS = "monitor.checks.process"

log = logs.get_logger("monitor.alerts")


class Use(Enum):
    """Ways in which a process uses the facts that only the project's Celery application knows."""

    FRESH = "fresh"
    """For roles: the application is imported, and the facts are stored for commands."""
    STORED = "stored"
    """For commands: stored facts are used if they are valid."""
    STORE_ONLY = "store only"
    """For commands that use only the store: the application is not imported if the store is configured without it."""
    SETTINGS_ONLY = "settings only"
    """For commands that use neither the store nor the broker: as before, whether or not the store is configured."""


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
    counts_declared_queues: frozenset[str] = frozenset()
    """Names of the checks that also count the queues that workers declare."""


def load(file: Path | None = None, *, use: Use = Use.STORED) -> Loaded:
    """Return the configuration. Its URLs and the options of its checks and channels are valid.

    Raises ConfigError with all problems.
    """
    try:
        loaded, problems = load_unvalidated(file, use=use), []
    except ConfigError as error:
        if error.rest is None:
            raise
        loaded, problems = error.rest, list(error.problems)
    reported_keys = {problem.key for problem in problems}
    problems += _url_problems(loaded)
    # The broker may be known only to the application, which is not imported for a command that uses only the store.
    optional = frozenset({"broker_url"} if loaded.config.celery_app and use is Use.STORE_ONLY else ())
    for spec in (*loaded.config.checks.values(), *loaded.config.channels.values(), *loaded.invalid):
        if isinstance(spec, CheckSpec):
            found = _option_problems(spec, loaded, optional)
        else:
            found = _channel_problems(spec, loaded)
        problems += [problem for problem in found if reported_keys.isdisjoint(_causes(problem.key))]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return loaded


def load_unvalidated(file: Path | None = None, *, use: Use = Use.STORED) -> Loaded:
    """Return the configuration without validation of its URLs and options. Raises ConfigError.

    Used before the store is started, when its URL is not known yet, and by commands that use no store.
    """
    if not os.environ.get(discovery.VARIABLE):
        os.environ.pop(discovery.VARIABLE, None)  # an empty variable counts as not set
    try:
        with project_reader as reader:
            facts = reader.settings(_import_limit_seconds(file))
            loaded = _load(file, facts)
            if loaded.config.celery_app:
                facts = _facts_with_application(reader, loaded, facts, use)
                loaded = _load(file, facts)
        discovery.use_names(facts.applications)
        if facts.settings_module:
            os.environ[discovery.VARIABLE] = facts.settings_module
        return loaded
    finally:
        # Set after the import, because the module of a Django project's Celery application may set this default first.
        os.environ.setdefault(discovery.VARIABLE, "monitor.settings")


@functools.cache
def runtime() -> Runtime:
    """Return the runtime of this process, which the first call builds. Opens no connection. Raises ConfigError."""
    loaded = load()
    config = with_reminders(loaded.config)
    checks = {name: with_configured_options(config, check) for name, check in config.checks.items()}
    senders = {name: build_sender(channel) for name, channel in config.channels.items()}
    return Runtime(
        config,
        checks,
        Plan(checks.values()),
        build_store(config),
        build_executor(config),
        senders,
        identity(config),
        _counting_declared_queues(loaded),
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
    return ProcessExecutor(CHECK_PROCESS, required=kinds, optional=modules, import_seconds=config.import_limit_seconds)


def build_sender(spec: ChannelSpec) -> Send:
    """Return the function that renders a notice with the channel's templates and sends it."""
    channel = CHANNELS.build(spec.kind, spec.options)

    def send(notice: Notice) -> DeliveryFailure | None:
        try:
            channel.send(notice, text.render(notice, spec.title, spec.body), spec.timeout_seconds)
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


def secret_options(table: str, kind: str) -> frozenset[str]:
    """Return the options of a kind of checks or channels whose type is a secret. Empty for an unknown kind."""
    registry: Registry[Any] = CHANNELS if table == "channels" else KINDS
    try:
        return registry.secret_options(kind)
    except UnknownPlugin:
        return frozenset()


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


def _counting_declared_queues(loaded: Loaded) -> frozenset[str]:
    """Return the names of the checks of the project's broker whose queues nobody has configured."""
    if loaded.origin("broker_queues") not in (DEFAULT_ORIGIN, CELERY_ORIGIN):
        return frozenset()
    return frozenset(
        check.name
        for check in loaded.config.checks.values()
        if configured_options(check.kind).get("queues") == "broker_queues"
        and not check.options.keys() & {"queues", "broker_url"}
    )


def _load(file: Path | None, facts: ProjectFacts) -> Loaded:
    return loading.load(file=file, django_settings=facts.explicit, project=facts.derived)


def _import_limit_seconds(file: Path | None) -> float:
    """Return the limit for the import of the project's settings, which is not set in these settings."""
    if not discovery.has_django_project():
        return Config().import_limit_seconds
    try:
        return loading.load(file=file).config.import_limit_seconds
    except ConfigError as error:  # reported when the configuration is loaded
        return (error.rest.config if error.rest else Config()).import_limit_seconds


def keep_facts(config: Config, ownership: Ownership) -> None:
    """Store what only the project's Celery application knows, for commands. Raise StoreUnavailable.

    Do nothing if this process has imported no such application.
    """
    imported = project_reader.imported
    if imported is not None:
        origin, found, of = imported
        stored_facts.write(_facts_directory(config), origin, found, of)
        text = stored_facts.encode(dataclasses.replace(origin, store=_store_name(config)), found, of)
        ownership.store_facts(text, stored_facts.VALID_SECONDS)


def _facts_with_application(reader: ProjectReader, loaded: Loaded, settings: ProjectFacts, use: Use) -> ProjectFacts:
    """Return the facts with the project's Celery application, as far as ``use`` needs them."""
    config = loaded.config
    origin, directory = Origin(config.celery_app or "", settings), _facts_directory(config)
    if use in (Use.STORE_ONLY, Use.SETTINGS_ONLY):
        stored = reader.stored(origin, directory) or _facts_in_store(config, origin, use)
        if stored is not None or not _needs_application(loaded, use):
            return stored or settings
    if config.data_dir is not None:
        with contextlib.suppress(OSError):
            config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return reader.application(origin, config.import_limit_seconds, directory, refresh=use is Use.FRESH)
    except ConfigError as error:
        problems = [dataclasses.replace(each, origin=loaded.origin("celery_app")) for each in error.problems]
        raise ConfigError(problems, loaded) from error  # with the rest, whose problems are reported too


def _facts_in_store(config: Config, origin: Origin, use: Use) -> ProjectFacts | None:
    """Return the facts that a role keeps in the store, if the settings name the store that the role uses too."""
    if use is Use.SETTINGS_ONLY or config.redis_url is None:
        return None
    try:
        with contextlib.closing(build_store(config, timeout_seconds=1.0)) as store:
            text = store.ownership.read_facts()
    except (StoreUnavailable, ValueError):  # ValueError: the URL is invalid, which is reported later
        return None
    return stored_facts.decode(text, dataclasses.replace(origin, store=_store_name(config))) if text else None


def _facts_directory(config: Config) -> Path:
    return config.data_dir or standalone.DEFAULT_DIRECTORY


def _store_name(config: Config) -> str:
    url = config.redis_url.get_secret_value() if config.redis_url else ""
    return f"{url} {config.key_prefix}"


def _needs_application(loaded: Loaded, use: Use) -> bool:
    """Return whether the settings that ``use`` needs may come from the project's Celery application only.

    The application may set the settings module, if no environment variable does, and with it ``settings.MONITOR``.
    """
    if not discovery.has_django_project():
        return True
    return use is Use.STORE_ONLY and loaded.origin("redis_url") in (DEFAULT_ORIGIN, CELERY_ORIGIN)


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
    if url is None or discovery.has_django_project():
        return []
    extra = missing_driver(url.get_secret_value().partition(":")[0])
    if extra is None:
        return []
    hint = f"its driver is not installed. Install it: {install_command(extra)}"
    return [ConfigProblem("database_url", None, hint, loaded.origin("database_url"))]


def _option_problems(check: CheckSpec, loaded: Loaded, optional: frozenset[str]) -> list[ConfigProblem]:
    """Return the problems of a check's options. The URLs in ``optional`` may be missing."""
    prefix = f"checks.{check.name}"
    problems = []
    missing: dict[str, str] = {}
    try:
        resolved = with_configured_options(loaded.config, check)
        configured = configured_options(check.kind).items()
        missing = {option: key for option, key in configured if key in _URLS and option not in resolved.options}
        required = [key for key in missing.values() if key not in optional]
        problems += [ConfigProblem(key, None, _missing_url_hint(loaded.config, key)) for key in required]
        KINDS.build(check.kind, resolved.options)
    except UnknownPlugin as error:
        hint = unknown_hint(error.name, error.known, "kind")
        return [ConfigProblem(f"{prefix}.kind", error.name, hint, loaded.origin(f"{prefix}.kind"))]
    except ValidationError as error:
        known = {*KINDS.option_names(check.kind), *COMMON_CHECK_KEYS}
        secrets = KINDS.secret_options(check.kind)
        found = problems_from_validation(prefix, error, known, loaded.origins, secrets)
        reported = {f"{prefix}.{option}" for option in missing}
        problems += [problem for problem in found if problem.key not in reported]
    return problems


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
        secrets = CHANNELS.secret_options(channel.kind)
        problems += problems_from_validation(prefix, error, known, loaded.origins, secrets)
    return problems


def _causes(key: str) -> tuple[str, ...]:
    """Return the keys whose own problem explains a problem of the key.

    For example, the broker is missing because the URL of the store is wrong.
    """
    causes = {"broker_url": ("broker_url", "redis_url", "celery_app"), "redis_url": ("redis_url", "celery_app")}
    return causes.get(key, (key,))


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
