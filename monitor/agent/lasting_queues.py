"""Rules that find the queues of a worker that are not lasting, with the reason for each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

FANOUT = "fanout"
EXCLUSIVE = "exclusive"
AUTO_DELETE = "auto_delete"
EXPIRES = "expires"
NOT_DURABLE = "not_durable"
NODE = "node"

_POD_SUFFIX = "-[bcdfghjklmnpqrstvwxz2456789]{5}$"
"""Pattern of the suffix that Kubernetes appends to the names of pods.

A host name without it and without a digit names a role, as `hostname: mail` does in a Compose file. The queue `mail`
then belongs to the role and not to one host."""


def short_lived(queues: Iterable[Any], *, names: re.Pattern[str], default: str) -> dict[str, str]:
    """Return the names of those kombu queues that are not lasting, each with the first reason that applies.

    ``names`` is the pattern for the worker's node (:func:`node_names`). ``default`` is the application's default queue,
    which belongs to all workers, also if its name matches the pattern.
    """
    found = {str(queue.name): _reason(queue, names, default) for queue in queues}
    return {name: reason for name, reason in found.items() if reason is not None}


def node_names(node: str, host: str) -> re.Pattern[str]:
    """Return a pattern for the names of queues that belong to one node: they contain its name or its host's name.

    A host's name must be a separate word in the queue's name. It counts only if it can name a single machine, container
    or pod.
    """
    hosts = {host, node.partition("@")[2]}
    hosts |= {first for first in (each.partition(".")[0] for each in hosts) if re.search("[A-Za-z]", first)}
    single = [re.escape(each) for each in sorted(hosts) if re.search(rf"\d|{_POD_SUFFIX}", each)]
    words = [rf"(?<![A-Za-z0-9]){each}(?![A-Za-z0-9])" for each in single]
    return re.compile("|".join([re.escape(node), *words]))


def _reason(queue: Any, names: re.Pattern[str], default: str) -> str | None:
    if _is_fanout(queue):
        return FANOUT
    if queue.exclusive:
        return EXCLUSIVE
    if queue.auto_delete:
        return AUTO_DELETE
    if queue.expires or "x-expires" in (queue.queue_arguments or {}):
        return EXPIRES
    if not queue.durable:
        return NOT_DURABLE
    return NODE if queue.name != default and names.search(queue.name) else None


def _is_fanout(queue: Any) -> bool:
    exchanges = (queue.exchange, *(binding.exchange for binding in queue.bindings or ()))
    return any(getattr(exchange, "type", None) == "fanout" for exchange in exchanges)
