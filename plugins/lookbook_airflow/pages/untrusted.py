"""Pages that were put together from a drop, which is untrusted: none of its scripts runs, nothing is loaded or sent."""

from __future__ import annotations

from fastapi import Response

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {images}; base-uri 'none'; form-action {forms}; "
    "frame-ancestors 'self'"
)
# The pictures that a drop may hold, by how their files begin; WebP has its name after its length.
_PICTURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"RIFF": "image/webp"}


def page(
    content: str | bytes, images: str = "data:", forms: str = "'none'", scripts: str | None = None, code: int = 200
) -> Response:
    """Return HTML as an answer that can do nothing but be looked at, or what little more its page needs.

    Args:
        content: the page.
        images: where its pictures may come from, as a source of the policy: within itself, or ``'self'``.
        forms: where its forms may be sent: nowhere, or ``'self'``.
        scripts: the checksum of a script of ours that may run, as a source of the policy; none else ever does.
        code: the answer's status.
    """
    policy = _POLICY.format(images=images, forms=forms) + (f"; script-src {scripts}" if scripts else "")
    headers = _HEADERS | {"Content-Security-Policy": policy}
    return Response(content, code, headers, "text/html; charset=utf-8")


def picture(content: bytes) -> Response | None:
    """Return a picture as an answer that can be nothing else; ``None`` for what is no picture."""
    for beginning, media_type in _PICTURES.items():
        if content.startswith(beginning):
            policy = {"Content-Security-Policy": "default-src 'none'; sandbox"}
            return Response(content, media_type=media_type, headers=_HEADERS | policy)
    return None


def table(content: bytes, name: str) -> Response:
    """Return CSV as an answer that a browser saves under ``name``."""
    saved = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=_HEADERS | saved)
