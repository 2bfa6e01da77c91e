"""A catalogue in Kaggle's layout as a drop that is read from its directory: the benchmarks' input without S3."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import obstore

from lookbook.aws import object_store
from lookbook.drops import lines
from lookbook.drops.lines import Row

DROP_ID = "2026-11-16"


def rows(data: Path) -> list[Row]:
    """Return the rows of a catalogue's ``styles.csv``."""
    return list(lines.read_rows((data / "styles.csv").read_bytes()))


def manifest(data: Path) -> dict[str, Any]:
    """Return the manifest of all files of the directory ``data``, as ``lookbook.drops.fingerprint`` writes it."""
    uri, styles_csv = f"{data.absolute().as_uri()}/", (data / "styles.csv").read_bytes()
    files = {
        item["path"]: [item["size"], str(item["e_tag"]).strip('"')]
        for batch in obstore.list(object_store(uri))
        for item in batch
    }
    return {
        "drop_id": DROP_ID,
        "drop_uri": uri,
        "fingerprint": "files",
        "rows": sum(1 for _ in lines.read_rows(styles_csv)),
        "styles_csv_sha256": hashlib.sha256(styles_csv).hexdigest(),
        "files": files,
    }


def names(product_id: str) -> tuple[str, str]:
    """Return the names of a product's picture and JSON."""
    return f"images/{product_id}.jpg", f"styles/{product_id}.json"
