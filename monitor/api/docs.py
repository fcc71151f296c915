"""The description of the API, and a page for people to read it: Swagger UI, from django-ninja's package.

Nothing comes from elsewhere, and no script or style is inline.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.views.decorators.http import require_safe

from monitor.api import assets
from monitor.api.assets import Assets
from monitor.api.entries import encode
from monitor.api.guard import answer
from monitor.api.openapi import api

_POLICY = assets.policy(forms="'none'")
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
    body = _PAGE.format(base=safe, assets=f"{safe}docs/static/{_assets().version}/")
    headers = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}
    return answer(body, "text/html; charset=utf-8", headers)


@require_safe  # type: ignore[untyped-decorator]
def asset(request: HttpRequest, version: str, file: str, **_of_the_mount: Any) -> HttpResponse:
    """A file of the page, which never changes, for its address would."""
    return assets.serve(request, _assets(), version, file)


@lru_cache(maxsize=8)
def _description(base: str) -> str:
    return encode(api.get_openapi_schema(path_prefix=base))


@lru_cache(maxsize=1)
def _assets() -> Assets:
    """The page's files, read on first use."""
    folder = resources.files("ninja") / "static" / "ninja"
    bodies = {name: _START if name == "start.js" else (folder / name).read_bytes() for name in _TYPES}
    return assets.packed({name: (body, _TYPES[name]) for name, body in bodies.items()})
