"""How many times faster products are read and checked here than in a notebook's loop, over the same local files.

The loop is written from its description: ``styles.csv`` with bad lines skipped, Shirts and Tshirts kept, each one's
JSON through ``json_normalize`` and ``pd.concat`` onto what was there. Ours reads the same products' JSON *and* decodes
and hashes their pictures, which the loop does not. Both read local files in one process: neither pays for S3.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import pandas as pd

from benchmarks import Figure, NoDataError
from benchmarks import _kaggle as kaggle
from lookbook.drops.candidates import CandidateReader
from lookbook.drops.lines import Row

GOAL = 10.0
PRODUCTS = 10_000
_KEPT = ("Shirts", "Tshirts")
_CHUNK = 500
# Each turn of the loop costs more than the one before. It is stopped here: its rate over all products would be lower.
LOOP_S = 40.0


def run(data: Path | None) -> Figure:
    """Time both on the first 10,000 shirts and T-shirts that have their JSON and their picture."""
    if data is None:
        raise NoDataError("it needs DATA=<a directory in Kaggle's layout, with JSON and pictures>")
    rows = _rows(data)
    ours_s, read = _ours(data, rows)
    loop_s, looped = _notebook(data, {row.fields["id"] for row in rows})
    detail = {"ours": read, "ours_s": round(ours_s, 1), "loop": looped, "loop_s": round(loop_s, 1), "source": "files"}
    value = round((read / ours_s) / (looped / loop_s), 1)
    return Figure("ingest_vs_notebook", value, "times the loop's rate", f">= {GOAL:g}", value >= GOAL, detail)


def _rows(data: Path) -> list[Row]:
    readable = (row for row in kaggle.rows(data) if not row.problem and row.fields["articleType"] in _KEPT)
    whole = [row for row in readable if all((data / name).is_file() for name in kaggle.names(row.fields["id"]))]
    return whole[:PRODUCTS]


def _ours(data: Path, rows: list[Row]) -> tuple[float, int]:
    manifest = kaggle.manifest(data)
    began = time.perf_counter()
    with CandidateReader(manifest, 1) as reader:
        read = sum(len(reader.table(rows[at : at + _CHUNK])) for at in range(0, len(rows), _CHUNK))
    return time.perf_counter() - began, read


def _notebook(data: Path, ids: set[str]) -> tuple[float, int]:
    """Run the loop over the products; it skips the lines that it cannot parse."""
    began = time.perf_counter()
    with contextlib.redirect_stderr(sys.stdout):
        table = pd.read_csv(data / "styles.csv", on_bad_lines="skip")
    table = table[table["articleType"].isin(_KEPT)]
    products = pd.DataFrame()
    for product_id in table["id"]:
        if time.perf_counter() - began > LOOP_S:
            break
        if str(product_id) in ids:
            with (data / "styles" / f"{product_id}.json").open() as file:
                products = pd.concat([products, pd.json_normalize(json.load(file)["data"])])
    return time.perf_counter() - began, len(products)
