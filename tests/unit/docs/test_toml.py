"""Every configuration that the documentation shows can be loaded, with the options of its checks and channels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor import wiring

ROOT = Path(__file__).parents[3]
BLOCKS = {
    f"{page.name}:{text[: found.start()].count(chr(10)) + 2}": found[1]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for text in [page.read_text()]
    for found in re.finditer(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("toml", BLOCKS.values(), ids=BLOCKS)
def test_it_loads(toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of its own, beside a store."""
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://127.0.0.1:1/0")
    file = tmp_path / "monitor.toml"
    file.write_text(toml)
    assert wiring.load(file)
