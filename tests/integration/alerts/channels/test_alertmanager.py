"""The channel to Alertmanager, against a real one."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest

from monitor.alerts.base import Permanent, Temporary
from monitor.alerts.channels.alertmanager import Alertmanager
from monitor.alerts.registry import CHANNELS
from monitor.alerts.text import render
from monitor.model.checks import Notice, NoticeKind, Status
from tests.integration.alerts.conftest import RealAlertmanager, Receiver
from tests.support.builders.notices import FIRING, channel, firing, refusal, resolved, send
from tests.support.logs import capture_logs
from tests.support.processes import free_port, wait_for


def told(receiver: Receiver) -> list[dict[str, Any]]:
    """What Alertmanager told people, as it would by any of its receivers."""
    return [alert for request in receiver.requests for alert in request.json["alerts"]]


def test_fire_and_resolve(alertmanager: RealAlertmanager, receiver: Receiver) -> None:
    """It fires there with our labels, people are told, and so are they of its end."""
    tell = channel("alertmanager", urls=[alertmanager.url], extra_labels={"env": "prod"}, generator_url="https://shop/")
    notice = firing(labels={"team": "shop", "odd name!": "x", "empty": ""})
    send(tell, notice)
    (alert,) = wait_for(alertmanager.alerts, seconds=30, what="it fires")
    assert alert["labels"] == {
        "alertname": "HealthCheck",
        "check": notice.check,
        "severity": "critical",
        "team": "shop",
        "odd_name_": "x",
        "env": "prod",
    }
    assert alert["annotations"]["summary"] == render(notice).title
    assert alert["annotations"]["notice"] == notice.id
    assert alert["generatorURL"] == "https://shop/"
    assert alert["status"]["state"] == "active"
    wait_for(lambda: [each["status"] for each in told(receiver)] == ["firing"], seconds=30, what="people are told")

    send(tell, dataclasses.replace(notice, kind=NoticeKind.REMINDER, at=time.time()))
    assert len(alertmanager.alerts()) == 1
    send(tell, resolved(notice))
    wait_for(lambda: not alertmanager.alerts(), seconds=30, what="it no longer fires")
    wait_for(lambda: "resolved" in [each["status"] for each in told(receiver)], seconds=30, what="people are told")
    assert [each["status"] for each in told(receiver)] == ["firing", "resolved"]


def test_a_change_of_severity_ends_the_alert_of_the_other_one(alertmanager: RealAlertmanager) -> None:
    """Since a label identifies an alert: a warning that became an error is not two alerts."""
    tell = channel("alertmanager", urls=[alertmanager.url])
    warning = firing(status=Status.WARNING)
    send(tell, warning)
    wait_for(lambda: severities(alertmanager) == ["warning"], seconds=30)
    error = firing(old=Status.WARNING, id="x:8")
    send(tell, error)
    wait_for(lambda: severities(alertmanager) == ["critical"], seconds=30)
    send(tell, resolved(error))
    wait_for(lambda: not alertmanager.alerts(), seconds=30)


def test_it_can_fire_again(alertmanager: RealAlertmanager) -> None:
    """After it was resolved."""
    tell = channel("alertmanager", urls=[alertmanager.url])
    for _ in range(2):
        notice = firing()
        send(tell, notice)
        wait_for(alertmanager.alerts, seconds=30, what="it fires")
        send(tell, resolved(notice))
        wait_for(lambda: not alertmanager.alerts(), seconds=30, what="it is resolved")


def test_headers_of_a_tenant(receiver: Receiver) -> None:
    """For Mimir's Alertmanager: they are sent with every request, beside the token, and hidden in what is said."""
    tell = channel("alertmanager", urls=[receiver.url], token="let-me-in", headers={"X-Scope-OrgID": "shop-eu"})
    send(tell)
    (request,) = receiver.requests
    assert request.headers["X-Scope-OrgID"] == "shop-eu"
    assert request.headers["Authorization"] == "Bearer let-me-in"
    receiver.answers.append((400, {}, b"no such tenant: shop-eu"))
    failure = refusal(lambda: send(tell))
    assert isinstance(failure, Permanent)
    assert "no such tenant: ***" in failure.reason
    assert "shop-eu" not in repr(tell)


def test_one_member_of_a_cluster_is_enough(receiver: Receiver) -> None:
    """The one that is down is logged."""
    urls = [f"http://127.0.0.1:{free_port()}", receiver.url + "/"]
    with capture_logs() as logged:
        send(channel("alertmanager", urls=urls, token="sw0rdfish"))
    (request,) = receiver.requests
    assert request.path == "/api/v2/alerts"
    assert request.headers["Authorization"] == "Bearer sw0rdfish"
    assert [entry["event"] for entry in logged] == ["channel.member_failed"]


def test_a_member_that_does_not_answer_holds_nobody_up(receiver: Receiver, serve: Callable[..., int]) -> None:
    """The others take it, and that is told within the timeout."""
    black_hole = serve(lambda client: [None for _ in iter(lambda: client.recv(65536), b"")])
    send(channel("alertmanager", urls=[f"http://127.0.0.1:{black_hole}", receiver.url]), timeout_seconds=4.0)
    assert len(receiver.requests) == 1


def test_what_it_refuses_is_given_up(alertmanager: RealAlertmanager) -> None:
    """With its own words; a mixture of refused and down is tried again."""
    tell = CHANNELS.build("alertmanager", {"urls": [alertmanager.url], "generator_url": "https://no such/%zz"})
    assert isinstance(refusal(lambda: send(tell)), Permanent)
    down = f"http://127.0.0.1:{free_port()}"
    assert isinstance(refusal(lambda: send(channel("alertmanager", urls=[down]))), Temporary)
    both = CHANNELS.build("alertmanager", {"urls": [alertmanager.url, down], "generator_url": "https://no such/%zz"})
    assert isinstance(refusal(lambda: send(both)), Temporary)


@pytest.mark.parametrize(
    ("notice", "fire", "end"),
    [
        (FIRING, ["critical"], []),
        (dataclasses.replace(FIRING, old=Status.WARNING), ["critical"], ["warning"]),
        (dataclasses.replace(FIRING, old=Status.STALE), ["critical"], []),
        (dataclasses.replace(FIRING, old=Status.ERROR, status=Status.WARNING), ["warning"], ["critical"]),
        (dataclasses.replace(FIRING, kind=NoticeKind.FLAPPING, status=Status.OK), ["warning"], []),
        (resolved(FIRING), [], ["critical"]),
        (resolved(FIRING, old=Status.WARNING), [], ["warning", "critical"]),
        (resolved(FIRING, old=Status.OK), [], ["warning", "critical"]),
    ],
)
def test_which_alerts_a_notice_is(notice: Notice, fire: list[str], end: list[str]) -> None:
    """What fires ends in a day; what has ended, ended when it was decided; none begins after its end."""
    tell = channel("alertmanager", urls=["http://host:9093"])
    assert isinstance(tell, Alertmanager)
    now = time.time()
    alerts = list(tell.alerts(notice, render(notice), now))
    assert [each["labels"]["severity"] for each in alerts] == [*fire, *end]
    assert all(each["startsAt"] <= each["endsAt"] for each in alerts)


def severities(alertmanager: RealAlertmanager) -> list[str]:
    """Of what fires."""
    return [alert["labels"]["severity"] for alert in alertmanager.alerts()]
