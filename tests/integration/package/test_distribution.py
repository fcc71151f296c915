"""The distribution as a user gets it: files, metadata, long description and types."""

from __future__ import annotations

import email
import email.message
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from readme_renderer import markdown
from trove_classifiers import classifiers

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REPOSITORY = PROJECT["urls"]["Source"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory with the sdist of the checkout, and with the wheel that is built from the unpacked sdist."""
    directory = tmp_path_factory.mktemp("built")
    _build(ROOT, directory, "sdist")
    with tarfile.open(next(directory.glob("*.tar.gz"))) as archive:
        archive.extractall(directory / "source", filter="data")
    _build(next((directory / "source").iterdir()), directory, "wheel")
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    """The wheel."""
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """The metadata of the wheel. Its payload is the long description."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    """Code, types, Lua scripts, templates and licences, and no file that the repository does not have."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "monitor"]
    tracked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == set(tracked.stdout.split())
    assert "monitor/py.typed" in files
    licences = [name for name in wheel.namelist() if "/licenses/" in name]
    assert {name.rpartition("/licenses/")[2] for name in licences} >= {
        "LICENSE",
        "monitor/dashboard/static/vendor/uplot/LICENSE",
    }


def test_the_sdist_has_no_tests_and_no_pictures(built: Path) -> None:
    """The sdist has what is needed to build and to read: the package, its documentation and its licence."""
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    folders = {name.partition("/")[0] for name in names}
    expected = {"monitor", "docs", "CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "pyproject.toml"}
    assert folders - {"PKG-INFO", ".gitignore"} == expected  # hatchling adds these two
    assert [name for name in names if name.endswith((".png", ".pyc"))] == []


def test_the_metadata_can_be_searched(metadata: email.message.Message) -> None:
    """Classifiers are those of PyPI, and every link leads into one repository."""
    given = metadata.get_all("Classifier") or []
    assert set(given) <= set(classifiers)
    assert {"Typing :: Typed", "Framework :: Django", "Framework :: Celery"} <= set(given)
    assert metadata["License-Expression"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 The celery-health-monitor dev")
    assert metadata["Keywords"]
    urls = dict(entry.split(", ") for entry in metadata.get_all("Project-URL") or [])
    assert urls.keys() >= {"Homepage", "Documentation", "Changelog", "Issues", "Source"}
    assert all(url == REPOSITORY or url.startswith(f"{REPOSITORY}/") for url in urls.values())


def test_the_long_description_works_anywhere(metadata: email.message.Message) -> None:
    """PyPI's own renderer accepts it. Each link and picture is absolute, and names a file of this repository."""
    html = markdown.render(str(metadata.get_payload()))
    assert html is not None
    targets = re.findall(r'(?:href|src)="(?!#user-content-)([^"]+)"', html)  # without the anchors of headings
    assert [target for target in targets if "://" not in target] == []
    own = [target.removeprefix(REPOSITORY) for target in targets if target.startswith(REPOSITORY)]
    assert len(own) >= 15
    assert any(target.endswith(".png") for target in own)
    for target in own:
        view = "raw" if target.endswith(".png") else "blob"
        path = target.removeprefix(f"/{view}/HEAD/").partition("#")[0]
        assert (ROOT / path).exists(), target


def test_the_address_of_the_repository_is_written_in_two_files() -> None:
    """In pyproject.toml and in the labels of the image. No other file of the package or its documentation has it."""
    address = REPOSITORY.removeprefix("https://")
    paths = [*ROOT.glob("*"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "monitor").rglob("*.py")]
    naming = {path.name for path in paths if path.is_file() and address in path.read_text(errors="replace")}
    assert naming == {"pyproject.toml", "Dockerfile"}


USER = """
from typing import Any, assert_type

from celery import Celery

import monitor
from monitor import HealthChecker
from monitor.testing import MemoryHistory, MemoryStore

app = Celery("shop")
monitor.install(app)
monitor.install(app, run_checks=True)

checker = HealthChecker()
assert_type(checker.check_liveness(), dict[str, Any])
assert_type(checker.get_readiness_response(), dict[str, Any])


def now() -> float:
    return 1000.0


store = MemoryStore(clock=now)
for name, state in store.states.read().states.items():
    assert_type(name, str)
    assert_type(state.since, float)
history: MemoryHistory = store.history
"""
WRONG = """
import monitor
from monitor import HealthChecker
from monitor.testing import MemoryStore

monitor.install(None, run_check=True)
HealthChecker().check_databases()
number: int = HealthChecker().check_redis()
MemoryStore(clock="now")
"""


@pytest.fixture(scope="module")
def user_python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of an environment with the wheel, and with the libraries of this environment."""
    directory = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    [packages] = directory.glob("lib/python*/site-packages")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(packages)
    [libraries] = [path for path in sys.path if path.endswith("site-packages")][:1]
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    return directory / "bin" / "python"


def test_the_types_are_those_of_the_code(user_python: Path, tmp_path: Path) -> None:
    """mypy, strict, over a user's project: right uses have their types, wrong ones are errors."""
    assert _type_check(user_python, tmp_path, "right.py", USER) == []
    errors = _type_check(user_python, tmp_path, "wrong.py", WRONG)
    codes = [re.search(r"\[([a-z-]+)\]$", line) for line in errors]
    assert [code and code[1] for code in codes] == ["call-arg", "attr-defined", "assignment", "arg-type"], errors


def _build(source: Path, target: Path, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _type_check(python: Path, directory: Path, name: str, code: str) -> list[str]:
    """Return mypy's errors about a module, without those that Celery has no types."""
    (directory / name).write_text(code)
    (directory / "mypy.ini").write_text("[mypy]\nstrict = true\n[mypy-celery.*]\nignore_missing_imports = true\n")
    command = [sys.executable, "-m", "mypy", "--python-executable", str(python), "--cache-dir", "cache", name]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if ": error:" in line]
