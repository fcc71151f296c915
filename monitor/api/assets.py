"""Files of a page: read once, compressed once, at an address that depends on their content; and the page's policy.

No static files have to be set up in a project, and nothing comes from elsewhere.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from monitor.api.pages import CONFINED

_FOR_EVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """A file, as it is and as gzip."""

    body: bytes
    compressed: bytes
    content_type: str


class Assets(NamedTuple):
    """All files of a page by their path. ``version`` is a digest of all contents: a change of one file moves them all.

    That keeps relative imports between modules as they are written, with neither a build step nor an import map
    (which would be an inline script).
    """

    version: str
    files: Mapping[str, Asset]


def packed(files: Mapping[str, tuple[bytes, str]]) -> Assets:
    """Return files, each with its content type, ready to be served."""
    digest, found = hashlib.blake2b(digest_size=8), {}
    for path, (body, content_type) in files.items():
        digest.update(f"{path} {len(body)} ".encode() + body)
        found[path] = Asset(body, gzip.compress(body, mtime=0), content_type)
    return Assets(digest.hexdigest(), found)


def serve(request: HttpRequest, assets: Assets, version: str, path: str) -> HttpResponse:
    """Return one of the files, which never changes at its address. Raises Http404 for one of another version."""
    if version != assets.version or path not in assets.files:
        raise Http404
    file = assets.files[path]
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    body = file.compressed if takes_gzip else file.body
    response = HttpResponse(body, content_type=file.content_type, headers=CONFINED)
    if takes_gzip:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ("Accept-Encoding",))
    response["Cache-Control"] = _FOR_EVER
    return response


def policy(*, forms: str) -> str:
    """Return the Content-Security-Policy of a page: own files only, nothing inline, no frames; ``forms`` go there."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            f"form-action {forms}",
        )
    )
