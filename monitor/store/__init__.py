"""The store: in Redis or Valkey, or in memory. One contract (`monitor.ports.Store`), one test set."""

from monitor.store.history import Retention
from monitor.store.memory_store import MemoryStore
from monitor.store.redis.store import RedisStore

__all__ = ["MemoryStore", "RedisStore", "Retention"]
