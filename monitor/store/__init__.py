"""The store, in Redis or Valkey, or in memory. Both pass the same tests of `monitor.ports.store.Store`."""

from monitor.store.memory.store import MemoryStore
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention

__all__ = ["MemoryStore", "RedisStore", "Retention"]
