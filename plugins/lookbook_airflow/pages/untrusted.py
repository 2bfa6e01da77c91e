"""Pages that were put together from a drop, which is untrusted: no script runs, nothing is loaded or sent."""

from __future__ import annotations

from fastapi import Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page(content: bytes) -> Response:
    """Return HTML as an answer that can do nothing but be looked at."""
    return Response(content, media_type="text/html; charset=utf-8", headers=_HEADERS)
