"""Where states live: in Redis or Valkey, or in memory. One contract (`monitor.ports.Store`), one test set."""

from monitor.store.fleet import RedisFleet
from monitor.store.memory import MemoryStore
from monitor.store.redis_store import RedisStore

__all__ = ["MemoryStore", "RedisFleet", "RedisStore"]
