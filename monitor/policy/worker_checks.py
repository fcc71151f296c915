"""The checks of workers, queues and hosts, which no configuration has: their names and their fields."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from monitor.config import CheckSpec

SUMMARY = "workers"
"""The name of the check that sums all of them up."""

HOST_INTERVALS = 6.0
"""A host's numbers must be high for so long: they are of a moment."""

NAME_LENGTH = 200


def check_name(kind: str, target: str) -> str:
    """The name of the check of a worker, a queue or a host; a short digest keeps apart what had to be changed."""
    name = f"{kind}:{target}"
    plain = re.sub(r"[^A-Za-z0-9_.@:-]", "_", name)
    if plain == name and len(name) <= NAME_LENGTH:
        return name
    digest = hashlib.blake2b(target.encode(errors="replace"), digest_size=4).hexdigest()
    return f"{plain[: NAME_LENGTH - 9]}.{digest}"


@lru_cache(maxsize=20_000)
def check_spec(name: str, interval_seconds: float) -> CheckSpec:
    """The check of this name, which no configuration has: never critical, in no group, valid for three intervals."""
    kind = name.partition(":")[0]
    lasting = HOST_INTERVALS * interval_seconds if kind == "host" else 0.0
    fields = {"interval": interval_seconds, "valid_for": 3 * interval_seconds, "for": lasting}
    return CheckSpec.model_validate({"name": name, "kind": kind, "critical": False, **fields})
