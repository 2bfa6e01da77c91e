"""What a fresh installation needs before its first run: database, bucket, base model, tables, pools, parsed DAGs.

Each step looks first at what is there, so that starting again costs next to nothing.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laptop.errors import LaptopError
from laptop.places import Places

if TYPE_CHECKING:
    from laptop.airflow_api import AirflowApi
    from laptop.record import Record

_DAGS_TIMEOUT_S = 90.0
_POLL_S = 0.5


def prepare_database(places: Places, environment: dict[str, str]) -> None:
    """Create or migrate Airflow's database, unless this version of Airflow has done so before."""
    stamp = places.airflow_home / "migrated-to"
    airflow = version("apache-airflow")
    if stamp.exists() and stamp.read_text() == airflow and (places.airflow_home / "airflow.db").exists():
        return
    places.airflow_home.mkdir(parents=True, exist_ok=True)
    _run(["airflow", "db", "migrate"], environment, places.logs / "airflow-db-migrate.log")
    stamp.write_text(airflow)


def prepare_aws(root: Path, say: Callable[[str], None]) -> None:
    """Create the bucket, upload the base model where it changed, and create missing tables and the queue of events.

    The AWS account and the catalogue are those that this process's environment names.
    """
    from laptop import drop_events
    from lookbook.aws import client
    from lookbook.catalog import tables
    from lookbook.settings import get_settings

    settings = get_settings()
    client("s3").create_bucket(Bucket=settings.bucket)
    uploaded = upload_directory(root / "training_image" / "base" / "tiny-blip2", settings.base_model_uri)
    if uploaded:
        say(f"Uploaded the base model ({uploaded} files) to {settings.base_model_uri}")
    tables.ensure_tables()
    if settings.aws_endpoint_url and settings.drop_events_queue_url:
        drop_events.prepare(settings.bucket, settings.drop_events_queue_url)


def upload_directory(directory: Path, prefix: str) -> int:
    """Upload a directory's files to an S3 prefix where they differ from what is there; return how many were sent.

    Raises:
        LaptopError: the directory has no files.
    """
    from lookbook import storage

    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    if not files:
        raise LaptopError(f"{directory} has no files; the base model should be there. Restore it with: git checkout .")
    present = {item.uri: item.etag for item in storage.list_objects(prefix)}
    sent = 0
    for path in files:
        uri, content = prefix + path.relative_to(directory).as_posix(), path.read_bytes()
        if present.get(uri) != hashlib.md5(content, usedforsecurity=False).hexdigest():
            storage.write_bytes(uri, content)
            sent += 1
    return sent


def pools(places: Places, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return Lookbook's pools as the plugin prints them; asked again only when its code has changed."""
    package = places.root / "plugins" / "lookbook_airflow"
    code = b"".join((package / name).read_bytes() for name in ("defaults.py", "pools.py"))
    kept = places.airflow_home / f"pools-{hashlib.sha256(code).hexdigest()[:16]}.json"
    if not kept.exists():
        _run(["lookbook_airflow.pools"], environment, kept)
    found: dict[str, dict[str, Any]] = json.loads(kept.read_text())
    return found


def wait_for_dags(api: AirflowApi, places: Places, known: Record) -> None:
    """Wait until every DAG file has been read since the start.

    Raises:
        LaptopError: a file can't be imported, or is not read in time.
    """
    since = datetime.fromtimestamp(min(process.created for process in known.processes), UTC)
    expected = {path.stem for path in (places.root / "dags").glob("*.py")}
    deadline = time.monotonic() + _DAGS_TIMEOUT_S
    while missing := expected - {dag.dag_id for dag in api.dags() if _parsed_after(dag.last_parsed, since)}:
        known.raise_if_dead()
        for file, trace in api.import_errors(since).items():
            raise LaptopError(f"Airflow can't import {file}:\n{trace}")
        if time.monotonic() > deadline:
            log = places.logs / "dag-processor.log"
            raise LaptopError(f"Airflow has not read {', '.join(sorted(missing))}; the log is {log}.")
        time.sleep(_POLL_S)


def _parsed_after(parsed: datetime | None, since: datetime) -> bool:
    return parsed is not None and parsed >= since


def _run(module: list[str], environment: dict[str, str], output: Path) -> None:
    """Run a module to its end with its output in ``output``, which is left only if it succeeds or explains why not."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(output.name + ".unfinished")
    errors = output.with_name(output.name + ".errors")
    with temporary.open("wb") as out, errors.open("wb") as err:
        code = subprocess.run([sys.executable, "-m", *module], env=environment, stdout=out, stderr=err).returncode  # noqa: S603
    if code:
        raise LaptopError(f"{' '.join(module)} failed; its output is in {errors} and {temporary}.")
    temporary.replace(output)
