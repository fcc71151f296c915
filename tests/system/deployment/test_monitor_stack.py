"""compose/monitor.yml on the Docker engine of this machine, if there is one. `make soak ARGS=stacks` brings its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException

from soak import stack_images
from soak.stack_engine import Stack
from soak.stack_plays import Story
from soak.stack_product import SETTINGS, comes_up, frozen_processes, outage
from tests.support.celery_nodes import docker_answers

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Bring the stack up, of images that the engine has or can pull."""
    if not docker_answers() or not shutil.which("docker-compose"):
        pytest.skip("no Docker engine with docker-compose answers; test_compose.py reads the file all the same")
    client = docker.from_env()
    foreign = {service["image"] for service in stack_images.services("monitor.yml") if "build" not in service}
    base = stack_images.PYTHON if client.images.list(stack_images.PYTHON) else None
    for image in foreign:
        try:
            if not client.images.list(image):
                client.images.pull(image)
        except DockerException as error:
            pytest.skip(f"{image} cannot be pulled ({error}); `make soak ARGS=stacks` makes a stand-in")
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    with Stack(host, "monitor", base, SETTINGS) as running:
        yield running


def test_the_probes_of_the_stack(stack: Stack) -> None:
    """All is ready and healthy. Frozen roles are unhealthy, and no role is while Valkey is down."""
    story = Story("monitor")
    comes_up(stack, story)
    frozen_processes(stack, story)
    outage(stack, story, "valkey")
    assert story.right, story.rows


def test_the_image_prints_its_help(stack: Stack) -> None:
    """Without a command the image starts no role. It has labels, is not root, and its probe finds no role."""
    (image,) = docker.from_env().images.list("celery-health-monitor")
    run = ["docker", "run", "--rm", "--read-only", "celery-health-monitor"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: monitor [OPTIONS] COMMAND")
    assert image.attrs["Config"]["User"] == "10001:10001"
    assert image.labels["org.opencontainers.image.title"] == "celery-health-monitor"
    done = subprocess.run([*run, "probe", "role"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("failed: no role of the monitor that runs")
