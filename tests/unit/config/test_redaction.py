"""What is hidden, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from monitor.config.errors import problem
from monitor.lib.redaction import hide_secrets, is_secret, mask, scrub

TEXTS = {
    "a URL's user and password": ("at redis://user:pw@host:6379/0.", "at redis://***@host:6379/0."),
    "a password alone": ("redis://:pw@host", "redis://***@host"),
    "a password with a slash and an at": ("redis://:p/w@x@host/0", "redis://***@host/0"),
    "two URLs in one list": ("amqp://a:b@h1;amqp://c:d@h2", "amqp://***@h1;amqp://***@h2"),
    "a password in a query": ("redis://h/0?db=1&password=pw&x=1", "redis://h/0?db=1&password=***&x=1"),
    "PostgreSQL's own format": ("host=h password='p w' user=u", "host=h password=*** user=u"),
    "JSON": ('{"api_key": "abc", "n": 1}', '{"api_key": ***, "n": 1}'),
    "a header": ("Authorization: Bearer abc.def", "Authorization: ***"),
    "a header of a dict": ("{'authorization': 'Basic YTpi'}", "{'authorization': '***'}"),
    "an environment variable": ("SLACK_TOKEN=xoxb-1 HOME=/root", "SLACK_TOKEN=*** HOME=/root"),
    "a URL without credentials": ("see http://host:80/path?x=1", "see http://host:80/path?x=1"),
    "an ordinary message": ("3 of 5 tokens: spent, at 10:00", "3 of 5 tokens: spent, at 10:00"),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_scrub(text, shown):
    """Credentials go, the rest stays, and a second time changes nothing."""
    assert scrub(text) == shown
    assert scrub(shown) == shown


PASSWORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters='"'), min_size=1)


@given(
    PASSWORDS, st.sampled_from(["redis://:{}@host", "amqp://user:{}@h:1//;amqp://user:{}@h2", "x postgres://{}:b@h y"])
)
def test_no_password_survives_in_a_url(password, template):
    """Whatever characters it has, encoded or not (blanks and double quotes end a URL in a text)."""
    marked = f"hunter2{password}hunter2"
    assert "hunter2" not in scrub(template.format(*[marked] * 2))


@given(st.text(min_size=1))
def test_no_password_survives_in_a_value(password):
    """Where the whole text is one URL, blanks and quotes belong to the password."""
    assert "hunter2" not in mask(f"redis://:hunter2{password}hunter2@host")


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "api_key", "X-Api-Key", "slack_token", "client_secret", "auth"]
)
def test_secret_names(name):
    """Keys whose value is never shown."""
    assert is_secret(name)


@pytest.mark.parametrize("name", ["redis_url", "key_prefix", "author", "interval", "queue", "significant"])
def test_plain_names(name):
    """Keys whose value is of use to a reader."""
    assert not is_secret(name)


def test_mask_keeps_the_shape():
    """Nested tables and lists are looked through; numbers, flags and absent values stay."""
    value = {
        "headers": {"Authorization": "Bearer x", "Accept": "*/*"},
        "urls": ["http://u:p@h/", "http://h/"],
        "url": SecretStr("redis://:p@h"),
        "pin": SecretStr("1234"),
        "password": None,
        "verify_token": True,
        "port": 80,
    }
    assert mask(value) == {
        "headers": {"Authorization": "***", "Accept": "*/*"},
        "urls": ["http://***@h/", "http://h/"],
        "url": "redis://***@h",
        "pin": "***",
        "password": None,
        "verify_token": True,
        "port": 80,
    }


@pytest.mark.parametrize("option", ["headers", "prometheus_headers"])
def test_a_wrong_header_is_not_shown(option):
    """In the problem of one header, and of the whole table."""
    assert problem(["checks", "mimir", option, "X-Scope-OrgID"], "shop", "should be a text").value == "'***'"
    assert problem(["checks", "mimir", option], {"X-Scope-OrgID": "shop"}, "wrong").value == "{'X-Scope-OrgID': '***'}"
    assert problem(["checks.mimir", option], "X-Scope-OrgID: shop", "should be a table").value == "'***'"
    assert (
        problem(["checks"], [{option: {"X-Scope-OrgID": "shop"}}], "wrong").value
        == f"[{{'{option}': {{'X-Scope-OrgID': '***'}}}}]"
    )
    assert problem(["checks", "headers", "interval"], "often", "wrong").value == "'often'"


def test_short_secrets_are_hidden_as_words():
    """A tenant is often a small number."""
    assert hide_secrets("tenant 7 of 17: shop, workshop", ["7", "shop", ""]) == "tenant *** of 17: ***, work***"
