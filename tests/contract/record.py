"""Write the golden files anew: ``python -m tests.contract.record [FILE...]``, on purpose only."""

from __future__ import annotations

import sys

from tests.contract.present import GOLDEN, MADE
from tests.support.redis_server import RedisServer, find_binary


def main() -> None:
    """Write all golden files, or those that are named."""
    server = RedisServer(binary=find_binary("valkey-server") or "valkey-server")
    try:
        for name in sys.argv[1:] or MADE:
            (GOLDEN / name).write_bytes(MADE[name](server).encode())
            print(name)  # noqa: T201
    finally:
        server.stop()


if __name__ == "__main__":
    main()
