"""``python produce.py [--count 400] [--key KEY | --hot CLIENT_ID]``: records, evenly or all with one key.

With ``--hot`` the key is one whose partition the named member of the group has: the hot-key drill.
"""

import argparse
import sys
from collections import Counter
from itertools import count

import settings
from kafka import KafkaAdminClient, KafkaProducer
from kafka.partitioner import murmur2


def main():
    """Send, and print what went to which partition."""
    parser = argparse.ArgumentParser(prog="produce.py", description=__doc__)
    parser.add_argument("--count", type=int, default=400)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--key", help="of every record (default: a key of its own for each)")
    how.add_argument("--hot", metavar="CLIENT_ID", help="one key, of a partition that this consumer has")
    options = parser.parse_args()
    key = key_of(options.hot) if options.hot else options.key
    producer = KafkaProducer(bootstrap_servers=settings.BROKERS, acks="all")
    sent = [
        producer.send(settings.TOPIC, key=(key or f"order-{number}").encode(), value=f"order {number}".encode())
        for number in range(options.count)
    ]
    partitions = Counter(each.get(timeout=30).partition for each in sent)
    producer.close()
    print(f"{options.count} records, key {key or 'of its own each'}: per partition {dict(sorted(partitions.items()))}")  # noqa: T201


def key_of(client_id):
    """The first of many keys that Kafka's own hash puts into a partition which this member of the group has."""
    admin = KafkaAdminClient(bootstrap_servers=settings.BROKERS)
    members = admin.describe_groups([settings.GROUP])[settings.GROUP]["members"]
    admin.close()
    assigned = {
        partition
        for member in members
        if member["client_id"] == client_id
        for topic in member["member_assignment"]["assigned_partitions"]
        if topic["topic"] == settings.TOPIC
        for partition in topic["partitions"]
    }
    if not assigned:
        sys.exit(f"{client_id} has no partition of {settings.TOPIC}: {[member['client_id'] for member in members]}")
    keys = (f"customer-{number}" for number in count())
    return next(key for key in keys if (murmur2(key.encode()) & 0x7FFFFFFF) % settings.PARTITIONS in assigned)


if __name__ == "__main__":
    main()
