"""The store: in Redis or Valkey, or in memory. One contract (`monitor.ports.store.Store`), one test set."""

from monitor.store.memory.store import MemoryStore
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention

__all__ = ["MemoryStore", "RedisStore", "Retention"]
