"""Rules that decide which queues of a worker are not lasting, and why."""

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

A host name without this suffix and without a digit may be the name of a service, as `hostname: mail` in a Compose file.
A queue `mail` then belongs to all hosts of the service."""


def short_lived(queues: Iterable[Any], *, node_pattern: re.Pattern[str], default: str) -> dict[str, str]:
    """Return the names of the given kombu queues that are not lasting, each with the first reason that applies.

    ``node_pattern`` is the result of :func:`node_pattern`. ``default`` is the name of the application's default queue,
    which belongs to all workers, even if this name matches the pattern.
    """
    reasons = {str(queue.name): _reason(queue, node_pattern, default) for queue in queues}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def node_pattern(node: str, host: str) -> re.Pattern[str]:
    """Return a pattern for the names of queues that belong to one node.

    A name matches if it contains the node's name, or the name of its host as a separate word. The name of the host is
    used only if it contains a digit or ends like the name of a pod, since other names may belong to several hosts.
    """
    hosts = {host, node.partition("@")[2]}
    hosts |= {short for short in (name.partition(".")[0] for name in hosts) if re.search("[A-Za-z]", short)}
    unique = [re.escape(name) for name in sorted(hosts) if re.search(rf"\d|{_POD_SUFFIX}", name)]
    words = [rf"(?<![A-Za-z0-9]){name}(?![A-Za-z0-9])" for name in unique]
    return re.compile("|".join([re.escape(node), *words]))


def _reason(queue: Any, node_pattern: re.Pattern[str], default: str) -> str | None:
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
    return NODE if queue.name != default and node_pattern.search(queue.name) else None


def _is_fanout(queue: Any) -> bool:
    exchanges = (queue.exchange, *(binding.exchange for binding in queue.bindings or ()))
    return any(getattr(exchange, "type", None) == "fanout" for exchange in exchanges)
