"""Which queues of a worker are lasting: every way in which kombu and Celery declare one."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.utils.nodenames import worker_direct
from kombu import Exchange, Queue, binding
from kombu.common import Broadcast

from monitor.agent import lasting_queues
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.old_celery import VERSIONS
from tests.support.redis_server import StartRedis

FANOUT = Exchange("news", type="fanout")

QUEUES: dict[str, tuple[Any, str | None]] = {
    "as Celery makes one for -Q": (Queue("mail", Exchange("mail"), "mail"), None),
    "a topic": (Queue("mail", Exchange("mail", type="topic"), "mail.#"), None),
    "without an exchange": (Queue("mail"), None),
    "whose messages expire": (Queue("mail", message_ttl=60), None),
    "a quorum queue": (Queue("mail", queue_arguments={"x-queue-type": "quorum"}), None),
    "bound to two exchanges": (Queue("mail", [binding(Exchange("a")), binding(Exchange("b"))]), None),
    "Broadcast": (Broadcast("reload"), "fanout"),
    "Broadcast of a name": (Broadcast("reload", queue="reload", auto_delete=False), "fanout"),
    "fanout": (Queue("mail", FANOUT), "fanout"),
    "bound to a fanout exchange as well": (Queue("mail", [binding(Exchange("a")), binding(FANOUT)]), "fanout"),
    "exclusive": (Queue("mail", exclusive=True), "exclusive"),
    "auto-delete": (Queue("mail", auto_delete=True), "auto_delete"),
    "expiring": (Queue("mail", expires=60), "expires"),
    "expiring, as an argument": (Queue("mail", queue_arguments={"x-expires": 60_000}), "expires"),
    "not durable": (Queue("mail", durable=False), "not_durable"),
    "worker_direct": (worker_direct("w1@web-7"), "node"),
    "of the node": (Queue("files.w1@web-7"), "node"),
    "of the host": (Queue("files.web-7"), "node"),
    "of the host's first part": (Queue("web-7_files"), "node"),
    "of another host": (Queue("files.web-70"), None),
    "of yet another host": (Queue("files.web-7b"), None),
    "the default queue, whatever its name": (Queue("web-7"), None),
}


@pytest.mark.parametrize(("queue", "reason"), QUEUES.values(), ids=QUEUES)
def test_why_a_queue_is_not_lasting(queue: Queue, reason: str | None) -> None:
    """The first reason that holds; none for a queue that outlives its worker."""
    names = lasting_queues.node_pattern("w1@web-7", "web-7.shop.example")
    default = "web-7"
    found = lasting_queues.short_lived([queue], node_pattern=names, default=default)
    assert found == ({queue.name: reason} if reason else {})


HOSTS = {
    "a container": ("w@3f2a9c01b7de", "files.3f2a9c01b7de", True),
    "a pod of a Deployment": ("w@mail-bcdfghjklm-xzvwt", "mail-bcdfghjklm-xzvwt", True),
    "a pod of a StatefulSet": ("w@mail-0", "mail-0", True),
    "a host that has the name of its role": ("mail@mail", "mail", False),
    "a role of two words": ("w@mail-sender", "mail-sender", False),
    "a node that has the name of its queue": ("mail@web-7", "mail", False),
    "a part of an address is no name": ("w@10.0.0.3", "tier-10", False),
    "the address is one": ("w@10.0.0.3", "files.10.0.0.3", True),
    "a node without a host": ("w", "mail", False),
}


@pytest.mark.parametrize(("node", "queue", "is_of_node"), HOSTS.values(), ids=HOSTS)
def test_a_name_of_one_node(node: str, queue: str, is_of_node: bool) -> None:
    """A queue that has the name of a role belongs to the role, however many hosts have that name."""
    names = lasting_queues.node_pattern(node, node.partition("@")[2])
    found = lasting_queues.short_lived([Queue(queue)], node_pattern=names, default="celery")
    assert found == ({queue: "node"} if is_of_node else {})


OF_ONE_PROCESS = """{
    'worker_direct': True,
    'task_queues': [
        __import__('kombu').Queue('celery'),
        __import__('kombu').Queue('replies', expires=60),
        __import__('kombu.common', fromlist=['common']).Broadcast('reload'),
    ],
}"""


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_worker_names_the_queues_that_are_not_lasting(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str
) -> None:
    """Among those that it consumes, in its beacon; and all of them once more in its goodbye, however it ends."""
    server = start_redis()
    store = AgentStore(server.client())
    env = {"TEST_CONF": OF_ONE_PROCESS}
    worker = start_agent_worker(store, "-P", "solo", node="w1@host", broker=server.url, celery=celery, env=env)
    beacon = worker.beacon(lambda beacon: beacon.direct)
    assert beacon.short_lived is not None
    reasons = {name.partition(".")[0]: reason for name, reason in beacon.short_lived.items()}
    assert reasons == {"replies": "expires", "bcast": "fanout", "w1@host": "node"}
    assert {*beacon.queues} == {"celery", *beacon.short_lived}
    with Celery(broker=server.url, set_as_current=False) as app:
        app.control.shutdown(destination=["w1@host"])  # the consumer is closed when the goodbye is said
    worker.wait()
    goodbye = store.beacon("w1@host")
    assert goodbye is not None
    assert (goodbye.leaving, goodbye.queues) == (True, beacon.queues)
