"""The description of the API, and a page for people to read it: Swagger UI, from django-ninja's package.

Nothing comes from elsewhere, and no script or style is inline.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.html import escape
from django.views.decorators.http import require_safe

from monitor.api.entries import encode
from monitor.api.history.api import api
from monitor.api.history.guard import answer

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'none'",
    )
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Health monitor: API</title>
<link rel="icon" type="image/svg+xml" href="{assets}favicon.svg">
<link rel="stylesheet" href="{assets}swagger-ui.css">
<script src="{assets}swagger-ui-bundle.js" defer></script>
<script src="{assets}start.js" defer></script>
</head>
<body><main id="docs" data-description="{base}openapi.json"></main><noscript>This page needs JavaScript; \
<a href="{base}openapi.json">openapi.json</a> does not.</noscript></body>
</html>
"""
_START = b"""\
const where = document.getElementById("docs");
SwaggerUIBundle({
  url: where.dataset.description,
  domNode: where,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: ["get"],
});
"""
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.svg": "image/svg+xml",
    "start.js": "text/javascript; charset=utf-8",
}


def description(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
    """The OpenAPI description, with the paths as they are here."""
    base = request.path.rstrip("/").removesuffix("openapi.json")
    return answer(_description(base))


def page(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
    """The page."""
    base = request.path.rstrip("/").removesuffix("docs")
    safe = escape(quote(base))
    body = _PAGE.format(base=safe, assets=f"{safe}docs/static/{_assets()[0]}/")
    headers = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}
    return answer(body, "text/html; charset=utf-8", headers)


@require_safe  # type: ignore[untyped-decorator]
def asset(request: HttpRequest, version: str, file: str, **_of_the_mount: Any) -> HttpResponse:
    """A file of the page, which never changes, for its address would."""
    now, files = _assets()
    if version != now or file not in files:
        raise Http404
    body, compressed = files[file]
    takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(compressed if takes_gzip else body, content_type=_TYPES[file])
    if takes_gzip:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ("Accept-Encoding",))
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@lru_cache(maxsize=8)
def _description(base: str) -> str:
    return encode(api.get_openapi_schema(path_prefix=base))


@lru_cache(maxsize=1)
def _assets() -> tuple[str, Mapping[str, tuple[bytes, bytes]]]:
    """Their version, and each as it is and as gzip: read on first use."""
    folder = resources.files("ninja") / "static" / "ninja"
    bodies = {name: _START if name == "start.js" else (folder / name).read_bytes() for name in _TYPES}
    digest = hashlib.blake2b(b"".join(bodies.values()), digest_size=8).hexdigest()
    return digest, {name: (body, gzip.compress(body, mtime=0)) for name, body in bodies.items()}
