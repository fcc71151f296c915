"""Real Kafka of three nodes, which survives the loss of one. It starts in five seconds and needs half a gigabyte."""

from __future__ import annotations

from tests.support.kafka_clients import KafkaClients
from tests.support.kafka_server import KafkaServer, new_cluster_id
from tests.support.processes import free_port

SETTINGS = {
    "offsets.topic.replication.factor": "3",
    "offsets.topic.num.partitions": "6",
    "min.insync.replicas": "2",  # committed records survive the death of the leader
}


class KafkaCluster(KafkaClients):
    """Nodes 1, 2 and 3, each both broker and controller. New topics have ``replicas``."""

    def __init__(self) -> None:
        quorum = {node_id: free_port() for node_id in (1, 2, 3)}
        cluster_id = new_cluster_id()
        self.nodes = {
            node_id: KafkaServer(settings=SETTINGS, node_id=node_id, quorum=quorum, cluster_id=cluster_id, start=False)
            for node_id in quorum
        }
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes.values())
        first, *others = self.nodes.values()
        first.format()
        for node in others:
            node.format(like=first)
        for node in self.nodes.values():
            node.begin()
        try:
            self.wait_until_started()
        except BaseException:
            self.stop()
            raise

    def wait_until_started(self) -> None:
        """Wait until every running node accepts connections."""
        for node in self.nodes.values():
            if node.running:
                node.wait_until_started()

    def coordinator(self, group: str) -> KafkaServer:
        """Return the node that coordinates a group now."""
        with self.admin() as admin:
            return self.nodes[admin._manager.run(admin._find_coordinator_id, group)]

    def revive(self) -> None:
        """Start every stopped node, and thaw every frozen one."""
        for node in self.nodes.values():
            if node.running:
                node.thaw()
            else:
                node.begin()
        self.wait_until_started()

    def stop(self) -> None:
        """Stop every node."""
        for node in self.nodes.values():
            node.stop()
