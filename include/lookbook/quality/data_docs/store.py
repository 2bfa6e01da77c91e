"""Where the Data Docs of each drop lie in S3: those of its last validation, as HTML pages that need no other file."""

from __future__ import annotations

import re
from pathlib import Path

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.settings import get_settings

INDEX = "index.html"
_DROP = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# No part begins with a dot, so that no name leads out of the drop's folder.
_PAGE = re.compile(r"([A-Za-z0-9_=-][A-Za-z0-9_.=-]*/){0,8}[A-Za-z0-9_=-][A-Za-z0-9_.=-]*\.html", re.ASCII)
_LONGEST = 500


class PageNotFoundError(PermanentError):
    """There is no such page of Data Docs, or its name is none."""


def folder(drop_id: str) -> str:
    """Return the URI under which the pages of a drop lie."""
    return f"s3://{get_settings().bucket}/data-docs/{drop_id}/"


def publish(directory: Path, drop_id: str) -> str:
    """Put the pages in ``directory`` in place of those of the drop's earlier runs; return the URI of the first one.

    Raises:
        PermanentError: Great Expectations, which only logs such an error, could not make one of the pages.
    """
    names = {path.relative_to(directory).as_posix(): path for path in sorted(directory.rglob("*.html"))}
    made = {name.partition("/")[0] for name, path in names.items() if path.stat().st_size}
    if missing := {INDEX, "expectations", "validations"} - made:
        raise PermanentError(
            f"Great Expectations made no {', '.join(sorted(missing))} in the Data Docs of drop {drop_id}; its own log "
            "says why. This is a fault of lookbook.quality.data_docs."
        )
    for name, path in names.items():
        storage.write_bytes(folder(drop_id) + name, path.read_bytes(), "text/html; charset=utf-8")
    storage.delete_others(folder(drop_id), names)
    return folder(drop_id) + INDEX


def page(drop_id: str, name: str) -> bytes:
    """Return one page of a drop's Data Docs.

    Args:
        drop_id: the drop's Monday.
        name: the page's path below the drop's folder; both may come from anyone.

    Raises:
        PageNotFoundError: there is none, or one of the two is no drop, no page.
    """
    if not _DROP.fullmatch(drop_id) or len(name) > _LONGEST or not _PAGE.fullmatch(name):
        raise PageNotFoundError("Data Docs are asked for by a drop's Monday and the path of an HTML page.")
    try:
        return storage.read_bytes(folder(drop_id) + name)
    except storage.ObjectNotFoundError as absent:
        raise PageNotFoundError(
            f"Drop {drop_id} has no page {name} in its Data Docs: it was not validated yet, or another run has put "
            "newer pages in their place."
        ) from absent
