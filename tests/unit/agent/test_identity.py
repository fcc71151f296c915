"""What tells two projects in one store apart, and what does not: roles of one project know different things of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from monitor.agent.identity import Identity, decode, encode, is_name, of_process


def made_of(setting: str | None = None, *applications: str | None, settings: str = "") -> Identity:
    """The identity of a process with these Celery applications and this settings module."""
    apps = [SimpleNamespace(main=name) for name in applications]
    return of_process(setting, apps, {"DJANGO_SETTINGS_MODULE": settings})


def random(name: str) -> Identity:
    """That of a monitor that belongs to no project."""
    return Identity(name, random=True)


NAMES = [
    ("the setting", made_of("a", "b", settings="c.settings"), "a"),
    ("else the Celery application", made_of(None, "b", settings="c.settings"), "b"),
    ("of two, the one that was installed first", made_of(None, "b", "d"), "b"),
    ("an application without a name", made_of(None, None, settings="c.settings"), "c"),
    ("an application that is a script", made_of(None, "__main__", settings="c.settings"), "c"),
    ("a name in two lines is none", made_of(None, "a\nb", settings="c.settings"), "c"),
    ("else the first part of the settings module", made_of(settings="shop.settings.web"), "shop"),
    ("a settings module at the top", made_of(settings="settings"), "settings"),
    ("our own settings are nobody's", made_of(settings="monitor.settings"), ""),
    ("nothing names it", made_of(), ""),
]


@pytest.mark.parametrize(("caption", "identity", "name"), NAMES, ids=[caption for caption, *_ in NAMES])
def test_names(caption: str, identity: Identity, name: str) -> None:
    """Where a project's name comes from."""
    assert identity.name == name


def test_our_own_application_names_no_project() -> None:
    """`monitor up` observes its own worker, too: it is one of the project that it watches."""
    own = SimpleNamespace(main="monitor", names_no_project=True)
    environ = {"DJANGO_SETTINGS_MODULE": "shop.settings"}
    assert of_process(None, [own], environ) == made_of(settings="shop.settings")
    assert not made_of(None, "proj", settings="shop.settings").ignores(of_process(None, [own], environ))
    assert of_process(None, [own], {}) == made_of()


ONE_PROJECT = [
    ("the same settings module", made_of(settings="shop.settings"), made_of(settings="shop.settings")),
    ("settings modules of roles", made_of(settings="shop.settings.worker"), made_of(settings="shop.settings.beat")),
    (
        "one of them does not know the application",
        made_of(settings="shop.settings.web"),
        made_of(None, "proj", settings="shop.settings.worker"),
    ),
    (
        "the application is known, whatever the settings modules are called",
        made_of(None, "proj", settings="blue.settings"),
        made_of(None, "proj", settings="green.settings"),
    ),
    (
        "the application is called like the settings of the other",
        made_of(None, "shop", settings="config.settings"),
        made_of(settings="shop.settings"),
    ),
    ("two applications, of which one knows one", made_of(None, "shop", "reports"), made_of(None, "reports")),
    ("the same setting", made_of("shop", "a", settings="b"), made_of("shop", "c", settings="d")),
    ("the setting is the name that the other has", made_of("shop", "a"), made_of(None, "shop")),
    ("one of them has no name", made_of(), made_of("shop")),
    ("both have none", made_of(), made_of()),
    ("roles in two containers, without a project", random("standalone-1@a"), random("standalone-2@b")),
    ("one data directory", random("standalone-1"), random("standalone-1")),
]


@pytest.mark.parametrize(("caption", "one", "other"), ONE_PROJECT, ids=[caption for caption, *_ in ONE_PROJECT])
def test_one_project(caption: str, one: Identity, other: Identity) -> None:
    """Roles of one project do not differ, from either side."""
    assert not one.differs_from(other)
    assert not other.differs_from(one)
    assert not one.ignores(other)


TWO_PROJECTS = [
    ("two settings modules", made_of(settings="shop.settings"), made_of(settings="blog.settings")),
    ("two applications", made_of(None, "shop"), made_of(None, "blog")),
    (
        "two applications from one template",
        made_of(None, "shop", settings="config.settings"),
        made_of(None, "blog", settings="config.settings"),
    ),
    ("two settings", made_of("shop"), made_of("blog")),
    ("the setting sets one of two equal ones apart", made_of("shop", "proj"), made_of(None, "proj")),
    ("nothing is known of both", made_of(None, "shop"), made_of(settings="blog.settings")),
    ("renamed", made_of("shop"), made_of("store")),
    ("names that differ in one character only", made_of("größe"), made_of("grüße")),
    ("two data directories", random("standalone-1"), random("standalone-2")),
    ("two data directories of one host", random("standalone-1@a"), random("standalone-2@a")),
    ("a host's and another", random("standalone-1@a"), random("standalone-2")),
    ("a monitor without a project in the store of one", random("standalone-1@a"), made_of(None, "shop")),
]


@pytest.mark.parametrize(("caption", "one", "other"), TWO_PROJECTS, ids=[caption for caption, *_ in TWO_PROJECTS])
def test_two_projects(caption: str, one: Identity, other: Identity) -> None:
    """Two projects differ, from either side."""
    assert one.differs_from(other)
    assert other.differs_from(one)


def test_a_monitor_without_a_project_watches_all_workers() -> None:
    """It cannot know their project: nobody said which it is. One that belongs to a project can."""
    assert not random("standalone-1").ignores(made_of(None, "shop"))
    assert not made_of().ignores(made_of(None, "shop"))
    assert made_of("blog").ignores(made_of(None, "shop"))
    assert not made_of("blog").ignores(Identity()), "an agent of an earlier version"


def test_it_is_stored_as_it_is() -> None:
    """Whatever is in it; equal ones have equal records."""
    for identity in (made_of("größe  x", "a", "b", settings="c.d"), random("standalone-1@h"), made_of(settings="s")):
        assert decode(encode(identity).encode()) == identity


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"shop", b"[]", b"{}", b'{"name":""}', b'{"name":5}', b'{"name":"a\\nb"}', b'{"name":"\\ud800"}',
     b'{"name":"a","applications":5}', b'{"name":"a","applications":[""]}', b'{"name":"' + b"x" * 101 + b'"}',
     b"[" * 9000, b"\xff"],
)  # fmt: skip
def test_what_is_no_record(raw: bytes | None) -> None:
    """Anything else is none."""
    assert decode(raw) is None


def test_what_is_a_name() -> None:
    """One line of up to 100 characters, without spaces at its ends."""
    assert all(map(is_name, ("a", "my project", "größe", "x" * 100)))
    assert not any(map(is_name, ("", " a", "a ", "a\n", "a\tb", "x" * 101)))
