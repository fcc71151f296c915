"""The images of compose/ where none can be pulled: Debian by debootstrap, and stand-ins under their names."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from soak.stack_engine import COMPOSE, ROOT, docker
from tests.support.kafka_server import jars

PYTHON = "soak-python"
SUITE = "bookworm"
STAND_INS = {
    "apache/kafka": "kafka",
    "danielqsj/kafka-exporter": "exporter",
    "postgres": "postgres",
    "prom/prometheus": "prometheus",
    "valkey/valkey": "valkey",
    "willfarrell/autoheal": "autoheal",
}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST")


def build(host: str) -> None:
    """Make what is not there yet: the base image, and a stand-in for each image that the compose files name."""
    if not _exists(host, PYTHON):
        print(f"... Debian {SUITE} by debootstrap", flush=True)
        _base(host)
    for image in foreign_images():
        if not _exists(host, image):
            print(f"... a stand-in for {image}", flush=True)
            name = STAND_INS[image.partition(":")[0]]
            with _context(name) as directory:
                docker(host, "build", "--quiet", "--build-arg", f"BASE={PYTHON}", "--tag", image, str(directory))


def foreign_images() -> list[str]:
    """The images that are not built from this checkout, with the tags that the compose files ask for."""
    found = [service for file in sorted(COMPOSE.glob("*.yml")) for service in services(file.name)]
    ours = {service["image"] for service in found if "build" in service}
    return sorted({service["image"] for service in found if "image" in service} - ours)


def services(file: str) -> list[dict[str, Any]]:
    """The services of a compose file, as it has them."""
    return list(yaml.safe_load((COMPOSE / file).read_text())["services"].values())


def _base(host: str) -> None:
    """Python on Debian, with this machine's certificates and pip settings: pip works inside as it does outside."""
    with tempfile.TemporaryDirectory(prefix="soak-debootstrap-") as directory:
        root = Path(directory) / "root"
        packages = "--include=ca-certificates,python3,python3-venv"
        with (Path(directory) / "log").open("w+") as log:
            command = ["debootstrap", "--variant=minbase", packages, SUITE, str(root)]
            if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
                log.seek(0)
                raise RuntimeError(f"debootstrap: {log.read()[-2000:]}")
        if CERTIFICATES.exists():
            shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        told = {
            "PIP_CERT": str(CERTIFICATES),
            **{name: os.environ[name] for name in PIP_SETTINGS if name in os.environ},
        }
        changes = [part for name, value in told.items() for part in ("--change", f"ENV {name}={value}")]
        archive = Path(directory) / "root.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        docker(host, "import", *changes, str(archive), PYTHON)


@contextmanager
def _context(name: str) -> Iterator[Path]:
    here = Path(__file__).parent / "standins"
    with tempfile.TemporaryDirectory(prefix="soak-image-") as directory:
        place = Path(directory)
        shutil.copy(here / f"{name}.Dockerfile", place / "Dockerfile")
        shutil.copy(ROOT / "constraints.txt", place)
        for script in here.glob("*.py"):
            shutil.copy(script, place)
        if name == "kafka":
            shutil.copytree(Path(jars("4")).parent, place / "jars")
        yield place


def _exists(host: str, image: str) -> bool:
    return bool(docker(host, "images", "--quiet", image).strip())
