"""What every channel promises. A new channel is covered by being registered: nothing here names one."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
import pickle
import re
import socket
import time
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.alerts import reference
from monitor.alerts.base import Channel, Permanent, Temporary, Undelivered
from monitor.alerts.registry import CHANNELS
from monitor.config.alerts import ChannelSpec
from monitor.lib.redaction import hide_option
from monitor.plugins.registry import UnknownPlugin, json_schema
from tests.support.builders.notices import FIRING, firing, resolved, send
from tests.support.logs import capture_logs

SECRET = "sw0rdfish"
every_channel = pytest.mark.parametrize("name", CHANNELS.names())
Serve = Callable[[Callable[[socket.socket], None]], int]


def example(name: str) -> Channel:
    """A channel with the options of its own example."""
    return CHANNELS.build(name, CHANNELS.find(name).example)


def aimed(name: str, port: int) -> dict[str, Any]:
    """The options of the example, with a secret wherever there may be one, and this machine as the receiver."""
    cls = CHANNELS.find(name)
    options: dict[str, Any] = dict(cls.example)
    if "host" in options:
        options |= {"host": "127.0.0.1", "port": port}
    for option, about in json_schema(cls).items():
        if '"password"' in json.dumps(about):
            options[option] = with_secrets(options.get(option), port, about)
    return options


def with_secrets(value: Any, port: int, about: dict[str, Any]) -> Any:
    if isinstance(value, list | tuple):
        return [with_secrets(item, port, about) for item in value]
    if "additionalProperties" in about:
        return {"X-Key": f"a key of {SECRET}"}
    if isinstance(value, str) and "://" in value:
        scheme = value.partition("://")[0].removesuffix("s")
        return f"{scheme}://me:{SECRET}@127.0.0.1:{port}/{SECRET}/{SECRET}?key={SECRET}"
    return SECRET


@every_channel
def test_a_channel_is_found_under_the_name_of_its_file(name: str) -> None:
    """So that one file can be imported for one channel."""
    cls = CHANNELS.find(name)
    assert cls.name == name
    assert cls.__module__ == f"monitor.alerts.channels.{name}"


@every_channel
def test_a_channel_is_a_frozen_dataclass(name: str) -> None:
    """Its options cannot change between two deliveries."""
    channel = example(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(channel, dataclasses.fields(channel)[0].name, None)
    assert pickle.loads(pickle.dumps(channel)) == channel


@every_channel
def test_a_channel_documents_itself(name: str) -> None:
    """The class, its example and every option have something to say."""
    cls = CHANNELS.find(name)
    assert "__doc__" in vars(cls)
    assert not inspect.getdoc(cls).startswith(f"{cls.__name__}("), "the dataclass' own, generated docstring"
    assert cls.example
    for option, about in json_schema(cls).items():
        assert about.get("description"), option


@every_channel
def test_options_do_not_hide_behind_the_common_fields_of_a_channel(name: str) -> None:
    """In a file both stand in one table."""
    fields = ChannelSpec.model_fields
    assert not (set(fields) | {field.alias for field in fields.values()}) & set(CHANNELS.option_names(name))


@every_channel
def test_an_unknown_option_is_an_error_that_does_not_repeat_it(name: str) -> None:
    """A typing error must not be a channel that silently tells nobody; and it may be a password."""
    with pytest.raises(ValidationError) as caught:
        CHANNELS.build(name, {**CHANNELS.find(name).example, "no_such_option": SECRET})
    assert SECRET not in str(caught.value)


@every_channel
def test_secrets_are_not_shown(name: str) -> None:
    """Neither by repr nor by `monitor config`."""
    options = aimed(name, 1)
    assert SECRET not in repr(CHANNELS.build(name, options))
    assert SECRET not in str({option: hide_option(value, option) for option, value in options.items()})


@every_channel
def test_what_may_be_secret_is_typed_so(name: str) -> None:
    """An address in a plain text would be shown."""
    for option, about in json_schema(CHANNELS.find(name)).items():
        if re.search(r"(?<!generator_)urls?$|token|secret|password", option):
            assert '"password"' in json.dumps(about), option


@every_channel
@pytest.mark.parametrize("kind", ["refused", "echo", "gibberish", "bad headers"])
def test_a_failure_names_no_secret(name: str, kind: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whether nobody listens, or the receiver says no and repeats all that it was told."""

    def heard_by(client: socket.socket) -> bytes:
        client.settimeout(0.5)  # in some protocols the server speaks first
        try:
            return client.recv(65536)
        except TimeoutError:
            return b""

    def echo(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 500 No\r\nX: 1\r\n\r\n" + heard_by(client))

    def gibberish(client: socket.socket) -> None:
        client.sendall(SECRET.encode() * 100 + b"\r\n" + heard_by(client))

    def bad_headers(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\n" + b"X" * 100 + b"\r\nno header\r\n\r\n" + heard_by(client))

    receivers = {"echo": echo, "gibberish": gibberish, "bad headers": bad_headers}
    port = 1 if kind == "refused" else serve(receivers[kind])
    channel = CHANNELS.build(name, aimed(name, port))
    with caplog.at_level(logging.DEBUG), capture_logs() as logged:
        try:
            send(channel, firing(), 5.0)
        except Undelivered as failure:
            assert SECRET not in failure.reason
            assert SECRET not in str(failure)
            assert SECRET not in "".join(traceback.format_exception(failure))
    assert SECRET not in str(logged)
    assert SECRET not in caplog.text


@every_channel
@pytest.mark.parametrize("kind", ["black hole", "drip"])
def test_no_receiver_takes_longer_than_it_is_given(name: str, kind: str, serve: Serve) -> None:
    """One that never answers, and one that answers a byte at a time for ever: tried again, within the timeout."""

    def black_hole(client: socket.socket) -> None:
        while client.recv(65536):
            pass

    def drip(client: socket.socket) -> None:
        for byte in b"220-" + b"x" * 10_000:
            client.sendall(bytes([byte]))
            time.sleep(0.05)

    port = serve({"black hole": black_hole, "drip": drip}[kind])
    channel = CHANNELS.build(name, aimed(name, port))
    began = time.monotonic()
    try:
        send(channel, firing(), 1.0)
    except Permanent:
        assert not hasattr(channel, "url")
        assert not hasattr(channel, "host")
    except Temporary:
        pass
    assert time.monotonic() - began < 6


@every_channel
def test_what_is_told_can_be_told(name: str) -> None:
    """Whatever a notice holds, nothing but Temporary and Permanent is raised."""
    odd = dataclasses.replace(FIRING, message="\0\r\n\ud800" * 10_000, labels={"": "", "a b": "\n"}, data={"x": {1, 2}})
    for notice in (odd, resolved(odd, since=odd.at + 10)):
        try:
            send(CHANNELS.build(name, aimed(name, 1)), notice)
        except Undelivered as failure:
            assert not re.search(r"\w+Error", failure.reason), failure.reason


def test_an_unknown_channel_says_which_there_are() -> None:
    """For the hint of a configuration error."""
    with pytest.raises(UnknownPlugin, match=r"unknown channel 'e-mail'; known: .*email"):
        CHANNELS.find("e-mail")


def test_the_reference_is_what_the_code_says() -> None:
    """`docs/channels.md` is made of the code; make it again when this fails."""
    page = Path(__file__).parents[3] / "docs" / "channels.md"
    assert page.read_text() == reference.render(), "python -m monitor.alerts.reference > docs/channels.md"


def test_the_reference_s_examples_are_toml_that_builds() -> None:
    """What a reader copies into a file is valid."""
    for block in re.findall(r"```toml\n(.*?)```", reference.render(), re.DOTALL):
        (table,) = tomllib.loads(block)["channels"].values()
        assert CHANNELS.build(table.pop("kind"), table)
