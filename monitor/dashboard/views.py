"""Django views of the page and its files. They do not use the project's settings for templates and static files."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine, Template
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from monitor.api import mounts, targets
from monitor.api.access import RefusalReason, cookie_name
from monitor.api.assets import policy, serve
from monitor.api.guard import is_authorised, login_not_required
from monitor.api.pages import CONFINED
from monitor.api.responses import failure
from monitor.api.service import service
from monitor.credentials import signed
from monitor.dashboard import assets

_HEADERS = {
    "Content-Security-Policy": policy(forms="'self'"),
    **CONFINED,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@login_not_required  # the view checks access itself
@require_safe  # type: ignore[untyped-decorator]
def page(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
    """Return the page for an authorised request, otherwise 401 and a page that explains how to get access."""
    if is_authorised(request):
        return _page(request)
    return _respond(_template("refused.html").render(_context()), status=401)


@csrf_exempt  # type: ignore[untyped-decorator]  # the code proves access, so no CSRF token is needed
@login_not_required
@require_POST  # type: ignore[untyped-decorator]
def session(request: HttpRequest) -> HttpResponse:
    """Open a session. The body of the request is the code of a link.

    Return 204 with a cookie, or 403 with ``{"error": REASON}``. A request from a page of another server
    (``Sec-Fetch-Site``) gets 403.
    """
    is_same_origin = request.headers.get("Sec-Fetch-Site") == "same-origin"
    code = request.read(2 * signed.CHARACTERS).decode("ascii", errors="replace")
    opened = service().access.open_session(code) if is_same_origin else RefusalReason.NO_CODE
    if isinstance(opened, RefusalReason):
        return failure(403, opened.value)
    response = _respond("", 204)
    response.set_cookie(
        cookie_name(request.META),
        opened,
        max_age=int(signed.SESSION_SECONDS),
        httponly=True,
        samesite="Strict",
        secure=request.is_secure(),
    )
    return response


def page_in(site: Any) -> Callable[..., HttpResponse]:
    """Return the view of the page in an admin site. It redirects users who are not staff of the site to its login."""
    return site.admin_view(require_safe(partial(_page, site=site)))  # type: ignore[no-any-return]


@login_not_required
@require_safe  # type: ignore[untyped-decorator]
def asset(request: HttpRequest, version: str, path: str, **_of_the_mount: Any) -> HttpResponse:
    """Return a file of the page; 404 if ``version`` is not the version of the current files."""
    return serve(request, assets.load(), version, path)


def _page(_: HttpRequest, site: Any = None, **_of_the_mount: Any) -> HttpResponse:
    home = reverse(f"{site.name}:index") if site else None
    title = str(site.site_header) if site else None
    context = _context(api=_api(), home=home, title=title, banner=service().config.web.banner)
    return _respond(_template("dashboard.html").render(context))


def _respond(text: str, status: int = 200) -> HttpResponse:
    return HttpResponse(text, status=status, headers=_HEADERS)


def _context(**more: Any) -> Context:
    files = assets.load()
    return Context(
        {"static": f"static/{files.version}", "version": files.version, "modules": assets.modules(files), **more}
    )


def _api() -> str | None:
    """Return the path of the API, with a slash at the end.

    None if the project does not include the API, or if the prefix has parameters.
    """
    try:
        return str(reverse("monitor:live")).rstrip("/").removesuffix("live")
    except NoReverseMatch:  # also if the project includes the API below a namespace of its own
        found = mounts.discover(get_urlconf() or settings.ROOT_URLCONF)
    prefixes = [mount.prefix for mount in found if mount.find is targets.find]
    return get_script_prefix().rstrip("/") + prefixes[0] if prefixes else None


@lru_cache(maxsize=4)
def _template(name: str) -> Template:
    """Return a template. Uses its own engine, because a project may have no template engine or another one."""
    return Engine(dirs=[str(Path(__file__).parent / "templates")]).get_template(name)
