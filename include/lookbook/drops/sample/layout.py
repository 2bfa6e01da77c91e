"""Write a sample drop: Kaggle's layout, with the real catalogue's quirks seeded in.

Each quirk falls on products of its own, at the share given in :data:`QUIRKS` and at least once in a hundred
products; the first five make a row unusable, about one in twenty altogether.
"""

from __future__ import annotations

import io
import logging
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import orjson
from PIL import Image

from lookbook.drops.lines import COLUMNS
from lookbook.drops.sample.drawing import draw
from lookbook.drops.sample.garments import COLOURS
from lookbook.drops.sample.products import Product, make_product, picture_link, styles_json
from lookbook.errors import PermanentError
from lookbook.progress import Progress

log = logging.getLogger(__name__)

MAX_PRODUCTS = 100_000
# Shares of the rows, in the order in which products are dealt out.
QUIRKS = {
    "missing_picture": 0.015,
    "unreadable_picture": 0.015,
    "duplicate_id": 0.01,
    "cut_line": 0.005,
    "empty_name": 0.005,
    "comma_in_name": 0.015,
    "quote_in_name": 0.01,
    "na_usage": 0.02,
    "na_colour": 0.01,
    "empty_season": 0.01,
    "empty_usage": 0.005,
    "mojibake": 0.01,
    "double_space": 0.02,
    "trailing_space": 0.01,
    "missing_json": 0.01,
    "same_picture": 0.01,
    "name_contradicts_colour": 0.01,
}
_ALWAYS_FROM = 100  # products from which on each quirk appears


@dataclass(frozen=True)
class Sample:
    """A written sample drop: where it is, how many rows, and how many of each quirk."""

    directory: Path
    rows: int
    quirks: dict[str, int]


@dataclass
class _Plan:
    """Which quirk falls on which product (by position), and what the writing keeps in mind."""

    quirk_at: dict[int, str]
    counts: Counter[str] = field(default_factory=Counter)
    last_plain_id: str = ""
    last_plain_picture: bytes = b""


def write_drop(directory: Path, monday: date, products: int, seed: int = 0, *, plain: bool = False) -> Sample:
    """Write a drop of ``products`` rows to ``directory``; it appears there only when it is complete.

    The same arguments give the same bytes. ``plain`` leaves every quirk out and states every attribute.

    Raises:
        PermanentError: the directory holds something, the date is no Monday, or the number is out of range.
    """
    _check(directory, monday, products)
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in ("images", "styles"):
        (partial / folder).mkdir(parents=True)
    plan = _Plan({} if plain else _deal_quirks(products, np.random.default_rng([seed, monday.toordinal(), products])))
    lines, links = [",".join(COLUMNS)], ["filename,link"]
    progress = Progress(log, "drawing products", products)
    for position in range(products):
        rng = np.random.default_rng([seed, monday.toordinal(), position])
        product = make_product(_product_id(monday, position), monday, rng, plain=plain)
        lines.append(_write_product(partial, product, monday, plan, position, rng))
        links.append(f"{product.row['id']}.jpg,{picture_link(product, monday)}")
        progress.advance()
    (partial / "styles.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (partial / "images.csv").write_text("\n".join(links) + "\n", encoding="utf-8")
    (partial / "_SUCCESS").touch()
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return Sample(directory, products, dict(plan.counts))


def _check(directory: Path, monday: date, products: int) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise PermanentError(f"{directory} exists and is not empty. Remove it or name another directory.")
    if monday.weekday() != 0:
        raise PermanentError(f"{monday} is no Monday. A drop is named by the Monday of its week, e.g. 2026-11-16.")
    if not 1 <= products <= MAX_PRODUCTS:
        raise PermanentError(f"{products} products asked for. A drop has 1 to {MAX_PRODUCTS}.")


def _product_id(monday: date, position: int) -> int:
    """Return an id that no other week's sample uses."""
    return (monday - date(2020, 1, 6)).days // 7 * MAX_PRODUCTS + position + 1


def _deal_quirks(products: int, rng: np.random.Generator) -> dict[int, str]:
    """Give each quirk its share of the products, none of them two; the first, which others repeat, gets none."""
    free = iter((1 + rng.permutation(products - 1)).tolist())
    least = 1 if products >= _ALWAYS_FROM else 0
    return {
        position: quirk
        for quirk, share in QUIRKS.items()
        for _, position in zip(range(max(least, round(share * products))), free, strict=False)
    }


def _write_product(
    directory: Path, product: Product, monday: date, plan: _Plan, position: int, rng: np.random.Generator
) -> str:
    """Write a product's picture and JSON as its quirk has them; return its line of styles.csv."""
    quirk = plan.quirk_at.get(position, "")
    if quirk:
        plan.counts[quirk] += 1
    _change_words(product, quirk, rng)
    if quirk == "duplicate_id":
        product.row["id"] = plan.last_plain_id
        return _line(product, quirk)
    picture = plan.last_plain_picture if quirk == "same_picture" else _jpeg(draw(product.garment, rng))
    _write_files(directory, product, monday, quirk, picture, plan.counts[quirk])
    if not quirk:
        plan.last_plain_id, plan.last_plain_picture = product.row["id"], picture
    return _line(product, quirk)


def _change_words(product: Product, quirk: str, rng: np.random.Generator) -> None:
    row, name = product.row, product.row["productDisplayName"]
    changes: dict[str, dict[str, str]] = {
        "empty_name": {"productDisplayName": ""},
        "comma_in_name": {"productDisplayName": f"{name}, Relaxed, Washable"},
        "quote_in_name": {"productDisplayName": name.replace(row["baseColour"], f'3.5" Cuff {row["baseColour"]}')},
        "na_usage": {"usage": "NA"},
        "na_colour": {"baseColour": "NA", "productDisplayName": name.replace(f" {row['baseColour']}", "")},
        "empty_season": {"season": ""},
        "empty_usage": {"usage": "", "season": "", "year": ""},
        "mojibake": {"productDisplayName": f"{name} – Café Edition".encode().decode("cp1252")},
        "double_space": {"productDisplayName": name.replace(" ", "  ", 1)},
        "trailing_space": {"productDisplayName": f"{name} "},
        "name_contradicts_colour": {"productDisplayName": name.replace(row["baseColour"], _other_colour(row, rng))},
    }
    row.update(changes.get(quirk, {}))


def _other_colour(row: dict[str, str], rng: np.random.Generator) -> str:
    others = [colour for colour in COLOURS if colour != row["baseColour"]]
    return others[rng.integers(len(others))]


def _jpeg(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=88)
    return content.getvalue()


def _write_files(directory: Path, product: Product, monday: date, quirk: str, picture: bytes, number: int) -> None:
    product_id = product.row["id"]
    if quirk == "unreadable_picture":
        broken = (picture[: len(picture) // 2], b"<html><body>404 Not Found</body></html>", b"")
        picture = broken[number % len(broken)]
    if quirk != "missing_picture":
        (directory / "images" / f"{product_id}.jpg").write_bytes(picture)
    if quirk != "missing_json":
        (directory / "styles" / f"{product_id}.json").write_bytes(orjson.dumps(styles_json(product, monday)))


def _line(product: Product, quirk: str) -> str:
    line = ",".join(product.row.values())
    return ",".join(line.split(",")[:5]) if quirk == "cut_line" else line
