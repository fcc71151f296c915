"""Views of the OpenAPI document and of a page with Swagger UI, which the package of django-ninja contains.

The page loads nothing from other hosts, and has no inline script or style.
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
from monitor.api.openapi import api
from monitor.api.responses import success
from monitor.api.schema import probe_operations

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
const container = document.getElementById("docs");
SwaggerUIBundle({
  url: container.dataset.description,
  domNode: container,
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
    """Return the OpenAPI document. Its paths begin with the prefix at which the project includes the API."""
    base = request.path.rstrip("/").removesuffix("openapi.json")
    return success(_description(base))


def page(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
    """Return the page with Swagger UI."""
    base = request.path.rstrip("/").removesuffix("docs")
    safe = escape(quote(base))
    body = _PAGE.format(base=safe, assets=f"{safe}docs/static/{_assets().version}/")
    headers = {"Content-Security-Policy": _POLICY, "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}
    return success(body, "text/html; charset=utf-8", headers)


@require_safe  # type: ignore[untyped-decorator]
def asset(request: HttpRequest, version: str, file: str, **_of_the_mount: Any) -> HttpResponse:
    """Return a file of the page."""
    return assets.serve(request, _assets(), version, file)


@lru_cache(maxsize=8)
def _description(base: str) -> str:
    document = api.get_openapi_schema(path_prefix=base)
    document["paths"].update(probe_operations.paths(base))
    document["components"]["schemas"].update(probe_operations.components())
    return encode(document)


@lru_cache(maxsize=1)
def _assets() -> Assets:
    """Return the page's files, which the first call reads."""
    swagger = resources.files("ninja") / "static" / "ninja"
    bodies = {
        "start.js": _START,
        "favicon.svg": (resources.files("monitor") / "dashboard" / "static" / "icon.svg").read_bytes(),
        **{name: (swagger / name).read_bytes() for name in ("swagger-ui-bundle.js", "swagger-ui.css")},
    }
    return assets.pack({name: (body, _TYPES[name]) for name, body in bodies.items()})
