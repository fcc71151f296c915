"""The page's scripts and stylesheets: read once, compressed once, at an address that their content decides."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_ROOT = Path(__file__).parent / "static"
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}


class Asset(NamedTuple):
    """A file, as it is and as gzip."""

    body: bytes
    compressed: bytes
    content_type: str


class Assets(NamedTuple):
    """All files by their path. ``version`` is made of all of their contents: a change of one moves them all.

    That keeps relative imports between modules as they are written, with neither a build step nor an import map
    (which would be an inline script).
    """

    version: str
    files: dict[str, Asset]

    @property
    def modules(self) -> list[str]:
        """Our own ES modules: to be loaded at once, rather than one after another as imports are discovered."""
        return sorted(path for path in self.files if path.startswith("modules/"))


@lru_cache(maxsize=1)
def load() -> Assets:
    """The files, read on first use: 0.3 MB. Raises OSError."""
    digest, files = hashlib.blake2b(digest_size=8), {}
    for file in sorted(path for path in _ROOT.rglob("*") if path.is_file() and path.suffix in _TYPES):
        path, body = PurePosixPath(file.relative_to(_ROOT)).as_posix(), file.read_bytes()
        digest.update(f"{path} {len(body)} ".encode() + body)
        files[path] = Asset(body, gzip.compress(body, mtime=0), _TYPES[file.suffix])
    return Assets(digest.hexdigest(), files)
