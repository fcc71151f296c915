"""Type of the option ``headers`` of kinds and channels: HTTP request headers. All values are secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, SecretStr

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def _validated(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    for name, value in headers.items():
        if _NAME.fullmatch(name) is None:
            raise ValueError("contains a name that an HTTP header cannot have; write letters, digits and hyphens")
        if _VALUE.fullmatch(value.get_secret_value()) is None:
            raise ValueError("contains a value that an HTTP header cannot have; write one line of Latin-1 characters")
    return headers


Headers = Annotated[Mapping[str, SecretStr], AfterValidator(_validated)]


def merged_headers(defaults: Mapping[str, str], headers: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return all headers. A header in `headers` replaces the header in `defaults` with the same name, in any case."""
    replaced = {name.lower() for name in headers}
    kept_defaults = {name: value for name, value in defaults.items() if name.lower() not in replaced}
    return kept_defaults | {name: value.get_secret_value() for name, value in headers.items()}
