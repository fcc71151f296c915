"""Files of the page: scripts, stylesheets and the icon."""

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
    """Return all files of the page (0.3 MB). The first call reads them. Raises OSError."""
    files = sorted(path for path in _ROOT.rglob("*") if path.is_file() and path.suffix in _TYPES)
    return pack(
        {PurePosixPath(file.relative_to(_ROOT)).as_posix(): (file.read_bytes(), _TYPES[file.suffix]) for file in files}
    )


def modules(assets: Assets) -> list[str]:
    """Return the paths of the ES modules. The page preloads them; otherwise browsers load them one after another."""
    return sorted(path for path in assets.files if path.startswith("modules/"))
