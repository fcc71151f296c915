"""Scripts and stylesheets of a page, and its Content-Security-Policy.

The files are read and compressed once, and served by a view. They do not use Django's static files, and come from no
other server.
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
    """Content of a file, plain and compressed with gzip."""

    body: bytes
    compressed: bytes
    content_type: str


class Assets(NamedTuple):
    """Files of a page by path. ``version`` is a digest of all contents, and is in the address of each file.

    A change of one file changes the addresses of all files. Because all have the same version, modules can import each
    other by relative paths. A build step is not needed, and neither is an import map (which would be an inline script).
    """

    version: str
    files: Mapping[str, Asset]


def pack(files: Mapping[str, tuple[bytes, str]]) -> Assets:
    """Return the files of a page. ``files`` has the content and the content type of each, by path."""
    digest, assets = hashlib.blake2b(digest_size=8), {}
    for path, (body, content_type) in files.items():
        digest.update(f"{path} {len(body)} ".encode() + body)
        assets[path] = Asset(body, gzip.compress(body, mtime=0), content_type)
    return Assets(digest.hexdigest(), assets)


def serve(request: HttpRequest, assets: Assets, version: str, path: str) -> HttpResponse:
    """Return a file, which browsers may cache forever. Raises Http404 for an unknown file and for another version."""
    if version != assets.version or path not in assets.files:
        raise Http404
    file = assets.files[path]
    accepts_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    body = file.compressed if accepts_gzip else file.body
    response = HttpResponse(body, content_type=file.content_type, headers=CONFINED)
    if accepts_gzip:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ("Accept-Encoding",))
    response["Cache-Control"] = _FOREVER
    return response


def policy(*, forms: str) -> str:
    """Return the Content-Security-Policy of a page: files of its own server only, nothing inline, no frames around it.

    ``forms`` is the directive ``form-action``.
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
