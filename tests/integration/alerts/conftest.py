"""Receivers of alerts: a web server that remembers, a real Alertmanager, a real mail server."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.processes import free_port, missing, wait_for


@dataclass(frozen=True)
class Request:
    """What a receiver was sent."""

    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """A web server that answers 200, or what ``answers`` says next: status, headers, body."""

    port: int
    requests: list[Request] = field(default_factory=list)
    answers: deque[tuple[int, dict[str, str], bytes]] = field(default_factory=deque)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A web server that remembers what it is sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            heard.requests.append(Request(self.path, self.headers, body))
            status, headers, answer = heard.answers.popleft() if heard.answers else (200, {}, b"thanks")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Receiver(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield heard
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class RealAlertmanager:
    """Alertmanager itself, which tells ``receiver`` what it would tell people."""

    url: str

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found


@pytest.fixture
def alertmanager(receiver: Receiver, tmp_path: Path) -> Iterator[RealAlertmanager]:
    """A real Alertmanager on a free port, without a cluster, that notifies at once."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager") or missing("Alertmanager")
    config = {
        "route": {
            "receiver": "people",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        },
        "receivers": [
            {"name": "people", "webhook_configs": [{"url": f"{receiver.url}/people", "send_resolved": True}]}
        ],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    options = ["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="]
    with (tmp_path / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [program, *options, f"--web.listen-address=127.0.0.1:{port}"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        running = RealAlertmanager(f"http://127.0.0.1:{port}")
        wait_for(lambda: _ready(f"{running.url}/-/ready"), seconds=30, what="Alertmanager is ready")
        yield running
    finally:
        process.kill()
        process.wait(10)


@dataclass
class Mailbox:
    """A real mail server with STARTTLS and a login; ``replies`` to RCPT and DATA are what it says instead of yes."""

    port: int
    ca_file: str
    replies: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    password: str = "swordfish"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Takes any recipient, unless told otherwise."""
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps the mail, unless told otherwise."""
        import email.policy

        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))  # type: ignore[arg-type]
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return reply

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
        """The one user there is; who is refused is told what was tried, as no server should."""
        right = isinstance(data, LoginPassword) and data.password == self.password.encode()
        refusal = None if right else f"535 no such password: {data.password.decode()}"
        return AuthResult(success=right, handled=False, message=refusal)


@pytest.fixture
def mailbox(certificate: Path) -> Iterator[Mailbox]:
    """A mail server that wants STARTTLS and a login."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    box = Mailbox(free_port(), str(certificate))
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        ready_timeout=30,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=box.authenticate,
    )
    controller.start()
    yield box
    controller.stop()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
