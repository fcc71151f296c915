"""Pool that is not one of Celery's. It runs each task in the event loop of a thread, and waits for it.

Asyncio pools of users do the same (celery-aio-pool).
"""

import asyncio
import os
import threading
import time

from celery.concurrency.base import BasePool


class AsyncIOPool(BasePool):
    """Pool that runs one task at a time, whatever `-c` is."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.limit = 1
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def on_apply(self, target, args=(), kwargs=None, callback=None, accept_callback=None, **_):
        if accept_callback:
            accept_callback(os.getpid(), time.monotonic())

        async def run():
            return await asyncio.to_thread(target, *args, **(kwargs or {}))

        callback(asyncio.run_coroutine_threadsafe(run(), self.loop).result())
