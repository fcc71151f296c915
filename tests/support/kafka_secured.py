"""Real Kafka with TLS, SASL and access rules, and a plain port on which everything is allowed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.net.sasl.oauth import AbstractTokenProvider

from tests.support.kafka_server import KafkaServer, Listener
from tests.support.processes import free_port, missing

PASSWORDS = {"alice": "alice-wonderland-7", "mallory": "mallory-malice-8"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_MODULES = "org.apache.kafka.common.security"


class SecuredKafka(KafkaServer):
    """Node with the access control of a production server.

    `addresses` by listener: `SSL`, `MTLS` (asks for a client's certificate), `SASL_PLAINTEXT` and `SASL_SSL` (every
    one of `MECHANISMS`, for the users of `PASSWORDS`; OAUTHBEARER accepts any `unsecured_token`). Every user may do
    everything until `deny` forbids it; `bootstrap` is the plain port, where the helpers are a super user.
    """

    def __init__(self) -> None:
        self.tls = Certificates()
        listeners = [
            Listener("SSL", free_port(), "SSL"),
            Listener("MTLS", free_port(), "SSL"),
            Listener("SASL_PLAINTEXT", free_port(), "SASL_PLAINTEXT"),
            Listener("SASL_SSL", free_port(), "SASL_SSL"),
        ]
        self.addresses = {each.name: f"127.0.0.1:{each.port}" for each in listeners}
        scram = [
            argument
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for user, password in PASSWORDS.items()
            for argument in ("--add-scram", f"{mechanism}=[name={user},password={password}]")
        ]
        settings = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.tls.broker),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.tls.ca),
            "listener.name.mtls.ssl.client.auth": "required",
            **_sasl("sasl_plaintext"),
            **_sasl("sasl_ssl"),
        }
        super().__init__(settings=settings, listeners=listeners, formatting=scram)

    def deny(self, user: str, name: str, sort: ResourceType = ResourceType.GROUP) -> None:
        """Forbid a user to describe one group or topic. All other users keep their rights."""
        pattern = ResourcePattern(sort, name)
        rules = [
            ACL(f"User:{user}", "*", ACLOperation.ALL, ACLPermissionType.DENY, pattern),
            ACL("User:*", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern),
        ]
        with self.admin() as admin:
            assert not admin.create_acls(rules)["failed"]

    def credentials(self, user: str, mechanism: str) -> dict[str, Any]:
        """Return the login options of a client of kafka-python, without addresses and protocol."""
        options: dict[str, Any] = {"sasl_mechanism": mechanism, "ssl_cafile": str(self.tls.ca)}
        if mechanism == "OAUTHBEARER":
            return {**options, "sasl_oauth_token_provider": UnsecuredTokens(user)}
        return {**options, "sasl_plain_username": user, "sasl_plain_password": PASSWORDS[user]}

    def stop(self) -> None:
        """Stop it, and remove its directory and its certificates."""
        super().stop()
        shutil.rmtree(self.tls.directory, ignore_errors=True)


class Certificates:
    """PEM files: certificates of the broker and a client, the authority that signed them, and a foreign authority."""

    def __init__(self) -> None:
        if not shutil.which("openssl"):
            missing("openssl")
        self.directory = Path(tempfile.mkdtemp(prefix="kafka-tls-", dir="/tmp"))
        self.ca = self._authority("ca")
        self.foreign_ca = self._authority("foreign")
        self.broker = self._signed("broker", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.client = self._signed("client", "extendedKeyUsage=clientAuth")
        self.client_key = self.directory / "client.key"

    def _authority(self, name: str) -> Path:
        certificate = self.directory / f"{name}.pem"
        self._openssl("req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", *self._key(name), "-out", str(certificate))
        return certificate

    def _signed(self, name: str, extension: str) -> Path:
        """Return a file with the certificate, followed by its key."""
        certificate, request = self.directory / f"{name}.pem", self.directory / f"{name}.csr"
        extensions = self.directory / f"{name}.ext"
        extensions.write_text(extension + "\n")
        self._openssl("req", "-new", *_NEW_KEY, "-subj", f"/CN={name}", *self._key(name), "-out", str(request))
        signer = ["-CA", str(self.ca), "-CAkey", str(self.directory / "ca.key"), "-CAcreateserial", "-days", "2"]
        extended = ["-extfile", str(extensions), "-out", str(certificate)]
        self._openssl("x509", "-req", "-in", str(request), *signer, *extended)
        with certificate.open("a") as both:
            both.write((self.directory / f"{name}.key").read_text())
        return certificate

    def _key(self, name: str) -> list[str]:
        return ["-keyout", str(self.directory / f"{name}.key")]

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes", "-days", "2")


def unsecured_token(user: str, *, seconds: float = 3600) -> str:
    """Return an unsigned token with a user's name, which Kafka's own validator accepts until it expires."""
    now = int(time.time()) - 1  # Kafka's validator allows no clock skew: a token of this millisecond may be of the next
    claims = {"sub": user, "iat": now, "exp": now + seconds}
    parts = [_encoded({"alg": "none"}), _encoded(claims), ""]
    return ".".join(parts)


class UnsecuredTokens(AbstractTokenProvider):
    """Provider of such tokens for a client, a new one each time."""

    def __init__(self, user: str = "alice", seconds: float = 3600) -> None:
        super().__init__()
        self._user, self._seconds = user, seconds

    def token(self) -> str:
        """Return a token."""
        return unsecured_token(self._user, seconds=self._seconds)


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _sasl(listener: str) -> dict[str, str]:
    users = " ".join(f'user_{user}="{password}"' for user, password in PASSWORDS.items())
    modules = {
        "plain": f"{_MODULES}.plain.PlainLoginModule required {users};",
        "scram-sha-256": f"{_MODULES}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{_MODULES}.scram.ScramLoginModule required;",
        "oauthbearer": f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="us";',
    }
    prefix = f"listener.name.{listener}"
    configured = {f"{prefix}.{mechanism}.sasl.jaas.config": module for mechanism, module in modules.items()}
    return {f"{prefix}.sasl.enabled.mechanisms": ",".join(MECHANISMS), **configured}
