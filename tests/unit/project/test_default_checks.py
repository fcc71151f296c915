"""Default checks for the databases and the caches of projects, of which real ones have such settings."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.config import ConfigError, load
from monitor.project import default_checks, queues

PROJECTS = Path(__file__).parents[2] / "support" / "projects"
REDIS = "redis://:swordfish@127.0.0.1:6379/0"
BACKEND = "django.core.cache.backends.redis.RedisCache"
USUAL = ["database", "redis", "celery", "cpu", "memory", "disk", "connections"]


@pytest.mark.parametrize(
    ("project", "checks", "names"),
    [
        ("paperless", ["cache:default", "cache:read-cache"], []),
        ("saleor", ["database:replica", "cache:default"], ["celery"]),
        (
            "pretix",
            ["cache:redis", "cache:redis_sessions", "cache:default"],
            ["default", "checkout", "mail", "background", "notifications"],
        ),
        ("plane", ["database:replica", "cache:default"], []),
        (
            "baserow",
            ["database:user_tables.8ec3e424", "cache:default", "cache:generated-models", "cache:cachalot"],
            ["celery", "export"],
        ),
    ],
)
def test_projects(project: str, checks: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables contain no address and no password."""
    monkeypatch.setattr(sys, "path", [str(PROJECTS), *sys.path])
    settings = SimpleNamespace(**runpy.run_path(str(PROJECTS / f"like_{project}" / "settings.py")))
    found = default_checks.from_settings(settings)
    assert list(found) == checks
    assert "swordfish" not in repr(found)
    assert list(queues.from_settings(settings)) == names


def test_no_project_check_is_critical_or_in_ready_unless_configured() -> None:
    """A table of the same name changes the check, as for the other default checks."""
    assert [*configured().checks] == [*USUAL, "database:replica", "cache:default"]
    assert [check.name for check in configured().members("ready")] == ["database", "redis", "celery"]
    assert not any(configured().checks[name].critical for name in ("database:replica", "cache:default"))
    changed = configured(
        checks={"cache:default": {"critical": True, "groups": ["ready"]}, "database:replica": {"enabled": False}}
    )
    assert [check.name for check in changed.members("ready")] == ["database", "redis", "celery", "cache:default"]
    assert changed.checks["cache:default"].options == {"alias": "default"}
    assert "database:replica" not in changed.checks


def test_a_variable_changes_a_project_check() -> None:
    """Its name contains an underscore in place of the colon."""
    config = configured(environ={"MONITOR_CHECKS__CACHE_DEFAULT__ENABLED": "false"})
    assert [*config.checks] == [*USUAL, "database:replica"]


def test_without_the_default_roster_there_are_no_project_checks() -> None:
    """A table without a kind is a problem, and the hint contains the keys to write."""
    assert [*configured(default_checks=False).checks] == []
    with pytest.raises(ConfigError) as caught:
        configured(default_checks=False, checks={"cache:default": {"critical": True}})
    assert "kind = 'cache' and alias = 'default'" in str(caught.value)


def test_an_alias_that_does_not_exist_is_a_problem() -> None:
    """The hint contains the setting, and a similar name."""
    with pytest.raises(ConfigError) as caught:
        configured(checks={"cache:defualt": {"critical": True}})
    assert "settings.CACHES has no such alias" in str(caught.value)
    assert "cache:default" in str(caught.value)


def test_origins_name_the_projects_settings() -> None:
    """`monitor config` shows them."""
    loaded = load(project={"checks": checks()}, environ={})
    assert loaded.origin("checks.cache:default.alias") == "the project's settings"


@pytest.mark.parametrize(
    ("caption", "entry"),
    [
        ("in memory", {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "unique-snowflake"}),
        (
            "memcached",
            {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": "127.0.0.1:11211"},
        ),
        (
            "its socket",
            {"BACKEND": "django.core.cache.backends.memcached.PyLibMCCache", "LOCATION": "unix:///tmp/m.sock"},
        ),
        ("no address", {"BACKEND": BACKEND, "LOCATION": None}),
        ("an empty address", {"BACKEND": BACKEND, "LOCATION": ""}),
        ("files", {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": Path("/tmp")}),
        ("no entry", None),
        ("dummy", {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}),
    ],
)
def test_other_caches_have_no_check(caption: str, entry: Any) -> None:
    """The monitor has no kind for them."""
    assert default_checks.from_settings(SimpleNamespace(CACHES={"default": entry})) == {}, caption


def test_a_derived_backend_is_recognised_by_its_address() -> None:
    """Such as the backends of django-prometheus, and a project's own."""
    entry = {"BACKEND": "shop.cache.Cache", "LOCATION": ["rediss://a/0", "rediss://b/0"]}
    assert [*default_checks.from_settings(SimpleNamespace(CACHES={"default": entry}))] == ["cache:default"]


def test_databases_without_an_engine_have_no_check() -> None:
    """A project may have an empty default alias, since it names the database of each model."""
    databases = {"default": {}, "a": {}, "b": {"ENGINE": "django.db.backends.dummy"}, "c": {"ENGINE": "x"}, "d": None}
    assert [*default_checks.from_settings(SimpleNamespace(DATABASES=databases))] == ["database:c"]


def checks() -> dict[str, Any]:
    databases = {alias: {"ENGINE": "django.db.backends.sqlite3"} for alias in ("default", "replica")}
    caches = {"default": {"BACKEND": BACKEND, "LOCATION": REDIS}}
    return default_checks.from_settings(SimpleNamespace(DATABASES=databases, CACHES=caches))


def configured(environ: dict[str, str] | None = None, **settings: Any) -> Any:
    return load(project={"checks": checks()}, django_settings=settings, environ=environ or {}).config
