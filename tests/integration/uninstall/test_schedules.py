"""Entries of earlier versions in redbeat. For django-celery-beat see `tests/system/cli/test_uninstall.py`."""

from __future__ import annotations

from celery import Celery
from celery.schedules import schedule
from redbeat import RedBeatSchedulerEntry
from redbeat.schedulers import ensure_conf, get_redis

from monitor.agent.former_entries import NAMES
from monitor.uninstall.schedules import RedbeatPlace, schedule_places
from tests.support.redis_server import StartRedis


def test_entries_in_redbeat(start_redis: StartRedis) -> None:
    """The monitor's entries go, the project's entries stay."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.redbeat_redis_url = start_redis().url
    conf, client = ensure_conf(app), get_redis(app)
    RedBeatSchedulerEntry("restock", "shop.restock", schedule(1.0), app=app).save()
    client.sadd(conf.statics_key, "restock")
    before = set(client.scan_iter())
    for name in NAMES[:3]:
        RedBeatSchedulerEntry(name, "monitor.tasks.dispatch", schedule(5.0), app=app).save()
        client.sadd(conf.statics_key, name)
    (place,) = schedule_places(app)
    assert isinstance(place, RedbeatPlace)
    assert place.find().count == 6
    assert place.remove().count == 6
    assert set(client.scan_iter()) == before
    assert client.smembers(conf.statics_key) == {"restock"}
    assert client.zrange(conf.schedule_key, 0, -1) == ["redbeat:restock"]
    assert place.find().count == 0


def test_a_project_without_stored_schedule() -> None:
    """Celery's own scheduler keeps no entries of the monitor."""
    assert schedule_places(Celery("shop", broker="memory://", set_as_current=False)) == []
