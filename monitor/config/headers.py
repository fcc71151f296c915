"""HTTP request headers as an option: names and values that can be sent. All values are secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def _sendable(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError("has a name that is not the name of an HTTP header")
        if _VALUE.fullmatch(value.get_secret_value()) is None:
            raise ValueError("has a value that cannot be sent in an HTTP header: write it in one line of Latin-1")
    return headers


Headers = Annotated[Mapping[str, SecretStr], AfterValidator(_sendable)]


def overlaid(usual: Mapping[str, str], headers: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return the usual headers with those given on top, as they are sent, whatever case their names are written in."""
    given = {name.lower() for name in headers}
    kept = {name: value for name, value in usual.items() if name.lower() not in given}
    return kept | {name: value.get_secret_value() for name, value in headers.items()}
