"""Small drops for tests: a directory in Kaggle's layout, or the same in S3."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
from PIL import Image

from lookbook import drops
from lookbook.drops.lines import COLUMNS

DROP_ID = "2026-11-16"
HEADER = ",".join(COLUMNS)


def line(product_id: object = 1, name: str = "Orlavane Men Blue Shirt", **fields: str) -> str:
    values = {
        "id": str(product_id),
        "gender": "Men",
        "masterCategory": "Apparel",
        "subCategory": "Topwear",
        "articleType": "Shirts",
        "baseColour": "Blue",
        "season": "Fall",
        "year": "2026",
        "usage": "Casual",
        "productDisplayName": name,
    }
    return ",".join((values | fields).values())


def jpeg(shade: int = 120, size: tuple[int, int] = (24, 32)) -> bytes:
    content = io.BytesIO()
    picture = Image.linear_gradient("L").resize(size).point(lambda level: (level * shade) // 255)
    picture.convert("RGB").save(content, "JPEG")
    return content.getvalue()


def styles(product_id: int = 1, **attributes: str) -> dict[str, Any]:
    data = {"id": product_id, "brandName": "Orlavane", "ageGroup": "Adults-Men", "articleAttributes": attributes}
    return {"notification": {}, "meta": {"code": 200}, "data": data}


def write_directory(directory: Path, *lines: str, files: dict[str, bytes] | None = None) -> Path:
    """Write a drop; each line's id gets a picture and a JSON unless ``files`` says otherwise."""
    (directory / "images").mkdir(parents=True)
    (directory / "styles").mkdir()
    (directory / "styles.csv").write_bytes("\n".join([HEADER, *lines, ""]).encode())
    for number, text in enumerate(lines):
        product_id = text.split(",")[0].strip('"')
        if product_id.isascii() and product_id.isdigit():
            (directory / "images" / f"{product_id}.jpg").write_bytes(jpeg(80 + number))
            (directory / "styles" / f"{product_id}.json").write_bytes(orjson.dumps(styles(int(product_id))))
    for name, content in (files or {}).items():
        (directory / name).write_bytes(content)
    return directory


def read_directory(directory: Path) -> drops.Candidates:
    """Upload a directory and read it as the ingest does."""
    drops.upload(directory, DROP_ID)
    return drops.read(drops.fingerprint(drops.discover(DROP_ID)).uri)
