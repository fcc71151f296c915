"""Files of a page, which are read and compressed once, and the page's Content-Security-Policy.

The address of a file depends on the content of all files. A project needs no static files, and no other server is
used.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from monitor.api.pages import CONFINED

_FOREVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """File as it is, and compressed with gzip."""

    body: bytes
    compressed: bytes
    content_type: str


class Assets(NamedTuple):
    """Files of a page by path. ``version`` is a digest of all contents, so a change of one file changes all addresses.

    Therefore modules can import each other by relative paths, without a build step and without an import map (which
    would be an inline script).
    """

    version: str
    files: Mapping[str, Asset]


def pack(files: Mapping[str, tuple[bytes, str]]) -> Assets:
    """Return the files of a page from their contents and content types by path."""
    digest, found = hashlib.blake2b(digest_size=8), {}
    for path, (body, content_type) in files.items():
        digest.update(f"{path} {len(body)} ".encode() + body)
        found[path] = Asset(body, gzip.compress(body, mtime=0), content_type)
    return Assets(digest.hexdigest(), found)


def serve(request: HttpRequest, assets: Assets, version: str, path: str) -> HttpResponse:
    """Return a file, which browsers may cache forever. Raises Http404 for an unknown file and for another version."""
    if version != assets.version or path not in assets.files:
        raise Http404
    file = assets.files[path]
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    body = file.compressed if takes_gzip else file.body
    response = HttpResponse(body, content_type=file.content_type, headers=CONFINED)
    if takes_gzip:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ("Accept-Encoding",))
    response["Cache-Control"] = _FOREVER
    return response


def policy(*, forms: str) -> str:
    """Return the Content-Security-Policy of a page: own files only, nothing inline, no frames.

    ``forms`` is the permitted target of forms.
    """
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
