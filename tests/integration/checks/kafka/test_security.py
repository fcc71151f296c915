"""Looks at a cluster that asks who one is, and what is said when it is not satisfied."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ResourceType
from pydantic import SecretStr

from monitor.checks.base import CheckFailed
from monitor.checks.kafka.cluster import ClusterSnapshot, observe_cluster
from monitor.checks.kafka.connection import KafkaConnection, parse_api_version
from tests.support.kafka_consumers import StartConsumer
from tests.support.kafka_secured import PASSWORDS, SecuredKafka, unsecured_token
from tests.support.processes import wait_for

TIMEOUT_SECONDS = 15.0


@pytest.fixture(scope="module")
def group(kafka_secured: SecuredKafka) -> str:
    """A group that lags three records."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    kafka_secured.create_topic(name)
    kafka_secured.produce(name, 5, partition=0)
    kafka_secured.commit(name, {(name, 0): 2})
    return name


def looked(kafka: SecuredKafka, listener: str, *groups: str, address: str = "", **settings: Any) -> ClusterSnapshot:
    """A look through one of the listeners; the authority is known unless the settings say otherwise."""
    if "SSL" in listener or listener == "MTLS":
        settings.setdefault("tls_cafile", str(kafka.tls.ca))
    connection = KafkaConnection(
        brokers=(address or kafka.addresses[listener],),
        security_protocol="SSL" if listener == "MTLS" else listener,
        **settings,
    )
    return observe_cluster(connection, groups=groups, timeout_seconds=TIMEOUT_SECONDS)


def failed(*arguments: Any, **settings: Any) -> CheckFailed:
    """The failure of such a look. It says where, and no secret."""
    with pytest.raises(CheckFailed) as failure:
        looked(*arguments, **settings)
    secrets = [*PASSWORDS.values(), "not-the-password", "eyJ"]
    assert not any(secret in failure.value.message for secret in secrets)
    return failure.value


def lag(found: ClusterSnapshot, group: str) -> int | None:
    """Of the group's only partition."""
    (at,) = found.groups[group].partitions.values()
    return None if at.end is None or at.committed is None else at.end - at.committed


def as_user(user: str, mechanism: str, password: str | None = None) -> dict[str, Any]:
    """Settings to be a user by name and password."""
    secret = SecretStr(PASSWORDS[user] if password is None else password)
    return {"sasl_mechanism": mechanism, "sasl_username": user, "sasl_password": secret}


def token_of_alice() -> str:
    """What a provider of tokens returns."""
    return unsecured_token("alice")


def expired_token() -> str:
    """One that the broker does not believe any more."""
    return unsecured_token("alice", seconds=-3600)


def broken_provider() -> str:
    """A provider that fails, with a secret in its words."""
    raise RuntimeError("cannot reach https://alice:alice-wonderland-7@tokens.example/")


def test_tls(kafka_secured: SecuredKafka, group: str) -> None:
    """Encrypted, the broker's certificate verified; and with a certificate of our own where it is asked for."""
    assert lag(looked(kafka_secured, "SSL", group), group) == 3
    own = {"tls_certfile": str(kafka_secured.tls.client), "tls_keyfile": str(kafka_secured.tls.client_key)}
    assert lag(looked(kafka_secured, "MTLS", group, **own), group) == 3


def test_wrong_authority(kafka_secured: SecuredKafka, group: str) -> None:
    """A certificate that nobody we trust has signed."""
    failure = failed(kafka_secured, "SSL", group, tls_cafile=str(kafka_secured.tls.foreign_ca))
    assert failure.reason == "tls"
    assert kafka_secured.addresses["SSL"] in failure.message


def test_missing_client_certificate(kafka_secured: SecuredKafka, group: str) -> None:
    """The broker hangs up on whom it does not know."""
    assert failed(kafka_secured, "MTLS", group).reason == "tls"


def test_certificate_of_another_host(kafka_secured: SecuredKafka, group: str) -> None:
    """The name is compared, unless told not to."""
    address = kafka_secured.addresses["SSL"].replace("127.0.0.1", "127.1")  # the same host by another name
    assert failed(kafka_secured, "SSL", group, address=address).reason == "tls"
    assert lag(looked(kafka_secured, "SSL", group, address=address, tls_check_hostname=False), group) == 3


def test_files_that_are_not_there_or_no_certificates(kafka_secured: SecuredKafka, tmp_path: Path) -> None:
    """Said with the file's name, before anybody is asked."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for settings in (
        {"tls_cafile": str(tmp_path / "missing.pem")},
        {"tls_cafile": str(nonsense)},
        {"tls_certfile": str(tmp_path / "missing.pem")},
        {"tls_certfile": str(kafka_secured.tls.client), "tls_keyfile": str(nonsense)},
    ):
        failure = failed(kafka_secured, "SSL", "some", **settings)
        assert failure.reason == "tls"
        assert str(tmp_path) in failure.message


@pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_name_and_password(kafka_secured: SecuredKafka, group: str, listener: str, mechanism: str) -> None:
    """The right one is let in, the wrong one and a stranger are told so."""
    assert lag(looked(kafka_secured, listener, group, **as_user("alice", mechanism)), group) == 3
    for wrong in (as_user("alice", mechanism, "not-the-password"), as_user("alice", mechanism, "")):
        failure = failed(kafka_secured, listener, group, **wrong)
        assert failure.reason == "authentication"
        assert kafka_secured.addresses[listener] in failure.message


def test_token(kafka_secured: SecuredKafka, group: str) -> None:
    """A token from a callable that is named by its dotted path."""
    token = {"sasl_mechanism": "OAUTHBEARER", "sasl_token_provider": f"{__name__}:token_of_alice"}
    assert lag(looked(kafka_secured, "SASL_SSL", group, **token), group) == 3


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("expired_token", "authentication"),
        ("broken_provider", "authentication"),
        ("PASSWORDS", "authentication"),
        ("missing", "import"),
    ],
)
def test_token_that_is_not_good(kafka_secured: SecuredKafka, group: str, provider: str, reason: str) -> None:
    """Expired, not made, no callable, not there."""
    token = {"sasl_mechanism": "OAUTHBEARER", "sasl_token_provider": f"{__name__}:{provider}"}
    assert failed(kafka_secured, "SASL_SSL", group, **token).reason == reason


def test_wrong_protocol(kafka_secured: SecuredKafka, group: str) -> None:
    """Who does not speak as the listener expects is hung up on, at once."""
    sasl, tls = kafka_secured.addresses["SASL_PLAINTEXT"], kafka_secured.addresses["SSL"]
    for address in (sasl, tls):
        with pytest.raises(CheckFailed) as failure:
            observe_cluster(KafkaConnection(brokers=(address,)), groups=(group,), timeout_seconds=TIMEOUT_SECONDS)
        assert failure.value.reason in ("reset", "unreachable")
    assert failed(kafka_secured, "SSL", group, address=sasl).reason in ("tls", "reset")


def test_group_that_one_may_not_describe(kafka_secured: SecuredKafka, group: str) -> None:
    """That group's problem; the others are seen."""
    forbidden = f"{group}-forbidden"
    kafka_secured.commit(forbidden, {(group, 0): 0})
    kafka_secured.deny("mallory", forbidden)

    def denied() -> ClusterSnapshot | None:
        found = looked(kafka_secured, "SASL_SSL", group, forbidden, **as_user("mallory", "PLAIN"))
        return found if found.groups[forbidden].problem else None

    found = wait_for(denied, seconds=30, what="the rule is known to the broker")
    assert found.groups[forbidden].problem == "authorization"
    assert lag(found, group) == 3
    assert lag(looked(kafka_secured, "SASL_SSL", forbidden, **as_user("alice", "PLAIN")), forbidden) == 5


def test_topic_that_one_may_not_describe(
    kafka_secured: SecuredKafka, start_consumer: StartConsumer, group: str
) -> None:
    """It is consumed, and nobody tells its lag: that is no lag of 0."""
    topic = f"{group}-hidden"
    kafka_secured.create_topic(topic)
    start_consumer(kafka_secured, topic, topic).wait_joined(1)
    kafka_secured.deny("mallory", topic, ResourceType.TOPIC)

    def denied() -> ClusterSnapshot | None:
        found = looked(kafka_secured, "SASL_SSL", group, topic, **as_user("mallory", "PLAIN"))
        return found if found.groups[topic].problem else None

    found = wait_for(denied, seconds=30, what="the rule is known to the broker")
    assert found.groups[topic].problem == "authorization"
    assert lag(found, group) == 3
    assert looked(kafka_secured, "SASL_SSL", topic, **as_user("alice", "PLAIN")).groups[topic].problem is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"brokers": ()}, "at least one"),
        ({"brokers": ("kafka://user:secret@a:9092",)}, "without a scheme"),
        ({"brokers": ("a:port",)}, "host:port"),
        ({"brokers": ("a:99999",)}, "host:port"),
        ({"api_version": (0, 8)}, "0.9 or newer"),
        ({"tls_cafile": "/ca.pem"}, "security_protocol SSL"),
        ({"security_protocol": "SSL", "tls_keyfile": "/key.pem"}, "tls_certfile"),
        ({"security_protocol": "SASL_SSL"}, "sasl_mechanism"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "sasl_username and sasl_password"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "sasl_token_provider"),
        ({"sasl_username": "alice"}, "SASL_PLAINTEXT"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], words: str) -> None:
    """Each is said before anybody connects, without what may be a password."""
    with pytest.raises(ValueError, match=words) as failure:
        KafkaConnection(**{"brokers": ("a",), **settings})
    assert "secret" not in str(failure.value)


def test_settings_as_people_write_them() -> None:
    """A version with a dot, or as numbers."""
    assert parse_api_version("0.9") == parse_api_version([0, 9]) == (0, 9)
    assert parse_api_version(None) is None
    with pytest.raises(ValueError, match="api_version"):
        parse_api_version("newest")
