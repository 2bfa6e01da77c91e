"""Whether a product of a whole catalogue takes longer to ingest than one of a tenth of it, and what memory it needs.

Both are read from their directory, validated and published into a local AWS of their own. The tenth is every tenth row,
so that both hold the same mixture, and it is measured before and after the whole.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks import Figure, NoDataError, account
from benchmarks import _ingest as ingest
from benchmarks import _kaggle as kaggle
from benchmarks._ingest import Ingested
from lookbook import storage
from lookbook.settings import get_settings

GOAL = 1.2
GOAL_MEMORY_GIB = 1.5
SHARE = 10


def run(data: Path | None) -> Figure:
    """Ingest a tenth of ``data``, all of it, and a tenth again."""
    if data is None:
        raise NoDataError("it needs DATA=<a directory in Kaggle's layout, with JSON and pictures>")
    with account() as state:
        tenth = _tenth(data, state / "tenth")
        before = _ingested(tenth, "2026-11-02", state)
        whole = _ingested(data, "2026-11-09", state)
        after = _ingested(tenth, "2026-11-16", state)
    of_tenth = (_per_row(before) + _per_row(after)) / 2
    value, peak = round(_per_row(whole) / of_tenth, 2), round(whole.peak_bytes / 2**30, 2)
    detail = {
        "ms_per_row": {"tenth": round(of_tenth * 1000, 2), "whole": round(_per_row(whole) * 1000, 2)},
        "rows": {"tenth": before.rows, "whole": whole.rows},
        "peak_memory_gib": {"tenth": round(before.peak_bytes / 2**30, 2), "whole": peak},
        "whole_s": whole.steps_s,
    }
    goal = f"<= {GOAL:g} and <= {GOAL_MEMORY_GIB} GiB"
    ok = value <= GOAL and peak <= GOAL_MEMORY_GIB
    return Figure("ingest_linear", value, "times the tenth's time per product", goal, ok, detail)


def _per_row(done: Ingested) -> float:
    return done.seconds / done.rows


def _ingested(directory: Path, drop_id: str, state: Path) -> Ingested:
    uri = f"s3://{get_settings().bucket}/staging/{drop_id}/files/manifest.json"
    manifest = kaggle.manifest(directory) | {"drop_id": drop_id}
    return ingest.measured(storage.write_json(uri, manifest).uri, state / "ingest.log")


def _tenth(data: Path, out: Path) -> Path:
    """Make a directory of every tenth row; its pictures and JSON are links to those of ``data``."""
    header = (data / "styles.csv").read_bytes().partition(b"\n")[0]
    rows = kaggle.rows(data)[::SHARE]
    for name in ("images", "styles"):
        (out / name).mkdir(parents=True)
    (out / "styles.csv").write_bytes(b"\n".join([header, *(row.raw_line.encode() for row in rows), b""]))
    for name in (name for row in rows if not row.problem for name in kaggle.names(row.fields["id"])):
        if (data / name).exists():
            _link(data / name, out / name)
    return out


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        shutil.copyfile(source, target)
