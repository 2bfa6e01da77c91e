"""Sides of a data set made straight from a drop: for benchmarks that train without a catalogue."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lookbook.vqa.questions import QUESTIONS, answer

_NOT_APPLICABLE = ("", "NA")


def write_sides(drop: Path, out: Path, shares: Mapping[str, float], *, limit: int | None = None) -> dict[str, int]:
    """Write the sides of the labelled products of ``drop`` below ``out`` and return how many products each got.

    Args:
        drop: a directory in Kaggle's layout.
        out: gets one directory a side, each with ``pairs.parquet`` and ``pictures-00000.tar``.
        shares: the sides' names and shares of all pictures, which add up to 1; a picture's hash decides.
        limit: take no more products than this, the first ones; by default all.
    """
    sides: dict[str, list[tuple[str, bytes, dict[str, str]]]] = {name: [] for name in shares}
    with (drop / "styles.csv").open(encoding="utf-8", newline="") as file:
        for row, picture, labels in islice(_labelled(drop, csv.DictReader(file)), limit):
            sides[_side(picture, shares)].append((row["id"], picture, labels))
    for name, products in sides.items():
        write_side(out / name, products)
    return {name: len(products) for name, products in sides.items()}


def _labelled(drop: Path, rows: Iterable[dict[str, str]]) -> Iterator[tuple[dict[str, str], bytes, dict[str, str]]]:
    for row in rows:
        labels, path = _labels(drop, row), drop / "images" / f"{row['id']}.jpg"
        if labels and path.exists():
            yield row, path.read_bytes(), labels


def _labels(drop: Path, row: dict[str, str]) -> dict[str, str]:
    path = drop / "styles" / f"{row['id']}.json"
    attributes = json.loads(path.read_text(encoding="utf-8"))["data"]["articleAttributes"] if path.exists() else {}
    stated = {**attributes, "baseColour": row["baseColour"]}
    return {name: stated[name] for name in QUESTIONS if stated.get(name) and stated[name] not in _NOT_APPLICABLE}


def _side(picture: bytes, shares: Mapping[str, float]) -> str:
    place, upper = int.from_bytes(hashlib.sha256(picture).digest()[:4], "big") / 2**32, 0.0
    for name, share in shares.items():
        upper += share
        if place < upper:
            return name
    return name


def write_side(directory: Path, products: Iterable[tuple[str, bytes, dict[str, str]]]) -> None:
    """Write one side: of each product its id, its picture's file and its labels (attribute → value)."""
    products = list(products)
    directory.mkdir(parents=True)
    pictures = {f"{hashlib.sha256(picture).hexdigest()}.jpg": picture for _, picture, _ in products}
    rows = [
        {
            "product_id": product,
            "picture": f"{hashlib.sha256(picture).hexdigest()}.jpg",
            "attribute": attribute,
            "question": QUESTIONS[attribute],
            "answer": answer(attribute, value),
        }
        for product, picture, labels in products
        for attribute, value in labels.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), directory / "pairs.parquet")
    with tarfile.open(directory / "pictures-00000.tar", "w") as tar:
        for name, picture in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(picture)
            tar.addfile(member, io.BytesIO(picture))
