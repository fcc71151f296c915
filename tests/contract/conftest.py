"""The servers that these tests may ask for, and the monitor's roles."""

from tests.support.redis_server import key_prefix, redis_server, shared_redis, start_redis
from tests.support.roles import start_monitor

__all__ = ["key_prefix", "redis_server", "shared_redis", "start_monitor", "start_redis"]
