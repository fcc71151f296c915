"""Project whose databases, caches and queues are configured as in pretix."""
