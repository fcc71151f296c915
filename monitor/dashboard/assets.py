"""Scripts and stylesheets of the page."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path, PurePosixPath

from monitor.api.assets import Assets, pack

_ROOT = Path(__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}


@lru_cache(maxsize=1)
def load() -> Assets:
    """Return all files (0.3 MB), which the first call reads. Raises OSError."""
    files = sorted(path for path in _ROOT.rglob("*") if path.is_file() and path.suffix in _TYPES)
    return pack(
        {PurePosixPath(file.relative_to(_ROOT)).as_posix(): (file.read_bytes(), _TYPES[file.suffix]) for file in files}
    )


def modules(assets: Assets) -> list[str]:
    """Return the paths of the ES modules, which the page preloads so that they are not loaded one after another."""
    return sorted(path for path in assets.files if path.startswith("modules/"))
