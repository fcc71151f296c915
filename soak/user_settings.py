"""The settings of the user's application, from the environment that `soak.stage` gives to its workers."""

from __future__ import annotations

import json
import os

broker_url = os.environ["CELERY_BROKER_URL"]
broker_transport_options = json.loads(os.environ.get("SHOP_TRANSPORT_OPTIONS", "{}"))
broker_connection_retry_on_startup = True
task_ignore_result = True
worker_max_tasks_per_child = int(os.environ.get("SHOP_TASKS_PER_CHILD", "0")) or None
