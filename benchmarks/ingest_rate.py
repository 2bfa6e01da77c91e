"""How fast a catalogue is ingested, against a bare loop that does nothing with it.

The loop runs in two processes, parses each product's JSON with orjson and opens each picture's header. Ours reads
the same files, decodes and hashes every picture, runs the Great Expectations checkpoint over all rows, writes them to
the Iceberg tables' audit branches, audits those and publishes. Both fetch the files from local AWS, by the same client
and equally many at a time. ``detail`` has the same pair for files that are read from a directory, where fetching costs
next to nothing.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import orjson
from PIL import Image

from benchmarks import Figure, NoDataError, account
from benchmarks import _ingest as ingest
from benchmarks import _kaggle as kaggle
from lookbook import drops, storage
from lookbook.drops.files import DropFiles
from lookbook.settings import get_settings

GOAL = 0.4
GOAL_MEMORY_GIB = 1.5
PROCESSES = 2
_FROM_FILES_DROP = "2026-11-09"
_GROUP = 16  # files that a thread takes in one go


def run(data: Path | None) -> Figure:
    """Ingest ``data`` from S3 and from its directory, each beside the bare loop."""
    if data is None:
        raise NoDataError("it needs DATA=<a directory in Kaggle's layout, with JSON and pictures>")
    with account() as state:
        drops.upload(data, kaggle.DROP_ID)
        from_s3 = _compared(drops.fingerprint(drops.discover(kaggle.DROP_ID)).uri, state)
        manifest = kaggle.manifest(data) | {"drop_id": _FROM_FILES_DROP}
        uri = f"s3://{get_settings().bucket}/staging/{_FROM_FILES_DROP}/files/manifest.json"
        from_files = _compared(storage.write_json(uri, manifest).uri, state)
    ok = from_s3["ratio"] >= GOAL and from_s3["peak_memory_gib"] <= GOAL_MEMORY_GIB
    goal = f">= {GOAL:g} and <= {GOAL_MEMORY_GIB} GiB"
    return Figure(
        "ingest_rate",
        from_s3["ratio"],
        "ratio to bare parse loop",
        goal,
        ok,
        {"from_s3": from_s3, "from_files": from_files},
    )


def _compared(manifest_uri: str, state: Path) -> dict[str, float]:
    """Time the bare loop before and after the ingest, for what else the machine does may change meanwhile."""
    before = _bare_s(manifest_uri)
    done = ingest.measured(manifest_uri, state / "ingest.log")
    bare_s = (before + _bare_s(manifest_uri)) / 2
    return {
        "ratio": round(bare_s / done.seconds, 2),
        "bare_s": round(bare_s, 1),
        "ours_s": round(done.seconds, 1),
        **{f"{step}_s": seconds for step, seconds in done.steps_s.items()},
        "rows": done.rows,
        "published": done.published,
        "quarantined": done.quarantined,
        "peak_memory_gib": round(done.peak_bytes / 2**30, 2),
    }


def _bare_s(manifest_uri: str) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.ingest_rate", manifest_uri]
    loops = [
        subprocess.Popen([*command, str(part)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        for part in range(PROCESSES)
    ]
    if any([loop.wait() for loop in loops]):
        raise SystemExit("The bare loop failed; its message is above.")
    return time.perf_counter() - began


def bare_loop(manifest_uri: str, part: int) -> None:
    """Parse every JSON and open every picture of one part of a drop."""
    manifest = storage.read_json(manifest_uri)
    names = [name for name in sorted(manifest["files"]) if name.startswith(("images/", "styles/"))][part::PROCESSES]
    if manifest["drop_uri"].startswith("file://"):
        directory = Path(url2pathname(urlsplit(manifest["drop_uri"]).path))
        for name in names:
            _look_at((directory / name).read_bytes())
        return
    files, groups = DropFiles(manifest), [names[at : at + _GROUP] for at in range(0, len(names), _GROUP)]
    with ThreadPoolExecutor(get_settings().read_concurrency // PROCESSES) as pool:
        list(pool.map(lambda group: [_look_at(files.read(name)) for name in group], groups))


def _look_at(content: bytes) -> None:
    if content[:1] == b"{":
        orjson.loads(content)
    else:
        Image.open(io.BytesIO(content))


if __name__ == "__main__":
    bare_loop(sys.argv[1], int(sys.argv[2]))
