"""Script that prints facts about the shop's Celery application as JSON, to compare it with and without the monitor."""

import json

from shop.celery import app

app.finalize()
app.loader.import_default_modules()
print(
    json.dumps(
        {
            "tasks": sorted(app.tasks),
            "beat": {name: str(entry) for name, entry in app.conf.beat_schedule.items()},
            "settings": {
                name: repr(value) for name, value in app.conf.table(with_defaults=True, censored=False).items()
            },
            "queues": sorted(app.amqp.queues),
        }
    )
)
