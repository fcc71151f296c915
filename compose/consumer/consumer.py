"""A consumer as small as a real one can be: it reads orders, takes its time for each, and commits.

For the hot-key drill: SIGUSR1 makes it stop consuming, while it stays a member of its group; SIGUSR2 lets it go on.
"""

import signal
import sys
import time

import settings
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaError, TopicAlreadyExistsError


def main():
    """Consume until SIGTERM, then leave the group, so that the others need not wait for the session to expire."""
    topic_exists()
    consumer = KafkaConsumer(
        bootstrap_servers=settings.BROKERS,
        group_id=settings.GROUP,
        client_id=settings.CLIENT_ID,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=10_000,
    )
    work = Work(consumer)
    consumer.subscribe([settings.TOPIC], listener=work)
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), work.on_signal)
    try:
        while not work.ended:
            work.turn()
    finally:
        consumer.close()
        say("left the group")


class Work(ConsumerRebalanceListener):
    """What is to be done, and whether it is to be done now."""

    def __init__(self, consumer):
        self.consumer = consumer
        self.ended = self.paused = False

    def turn(self):
        """Take what there is, or wait half a second for it; commit what was done."""
        assigned = self.consumer.assignment()
        if self.paused:
            self.consumer.pause(*assigned)
        elif self.consumer.paused():
            self.consumer.resume(*assigned)
        for records in self.consumer.poll(timeout_ms=500, max_records=50).values():
            for _ in records:
                time.sleep(settings.SECONDS_PER_RECORD)
            self.consumer.commit()

    def on_signal(self, number, _frame):
        """Noted here, done by the loop: a signal may come at any moment."""
        if number in (signal.SIGUSR1, signal.SIGUSR2):
            self.paused = number == signal.SIGUSR1
        else:
            self.ended = True

    def on_partitions_assigned(self, assigned):
        """Said aloud; a paused consumer does not begin with what it is given."""
        say(f"assigned: {sorted(each.partition for each in assigned)}")
        if self.paused:
            self.consumer.pause(*assigned)

    def on_partitions_revoked(self, revoked):
        """Everything done is committed already."""


def topic_exists():
    """Make the topic unless it is there. Waits for the brokers."""
    while True:
        try:
            admin = KafkaAdminClient(bootstrap_servers=settings.BROKERS, client_id=settings.CLIENT_ID)
            try:
                admin.create_topics({settings.TOPIC: {"num_partitions": settings.PARTITIONS, "replication_factor": 1}})
            except TopicAlreadyExistsError:
                pass
            finally:
                admin.close()
        except KafkaError as error:
            say(f"no topic yet: {error}")
            time.sleep(1)
        else:
            return


def say(what):
    """One line for whoever reads the container's log."""
    print(f"{settings.CLIENT_ID}: {what}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
