"""Drive the platform through its flow: a drop goes in, a model is trained, descriptions come out."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from laptop import summary, summary_text, watching
from laptop.airflow_api import AirflowApi, DagRun, TaskInstance
from laptop.environment import adopt, process_environment
from laptop.errors import LaptopError
from laptop.keys import load_or_create
from laptop.places import Places
from laptop.record import Record
from laptop.reporting import reporter
from laptop.training_log import TrainingLog

INGEST, RETRAIN, DESCRIBE = "ingest_drop", "retrain_attribute_model", "describe_products"
REQUEUE = "requeue_drop"


@dataclass(frozen=True)
class DropChoice:
    """Which drop goes in: a directory, or ``None`` for a drawn sample of ``products`` rows."""

    drop_id: str
    directory: Path | None
    limit: int | None
    products: int


def drop_choice(options: argparse.Namespace) -> DropChoice:
    """Return the drop that the command line asks for, checked as far as can be without reading it.

    Raises:
        LaptopError: the directory isn't a drop, the date is no Monday, or the limit takes nothing.
    """
    if options.limit is not None and options.limit < 1:
        raise LaptopError(f"LIMIT={options.limit} takes no row. Expected a number of rows, at least 1.")
    directory = Path(options.drop).expanduser().resolve() if options.drop else None
    if directory is not None:
        _check_directory(directory)
    return DropChoice(_monday(options.date), directory, options.limit, options.products)


def last_monday(today: date) -> date:
    """Return the Monday of the week of ``today``."""
    return today - timedelta(days=today.weekday())


class Driver:
    """Runs the steps of the flow on a platform that is up; each is one DAG run, followed to its end."""

    def __init__(self, places: Places, known: Record, console: Console) -> None:
        self._places = places
        self._console = console
        keys = load_or_create(places)
        adopt(process_environment(places, known.ports, keys))
        self._api = AirflowApi(known.ports.airflow_url, keys.password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.__exit__()

    def demo(self, choice: DropChoice) -> None:
        """Run all three steps in order and print what came of them."""
        # A published drop starts describe_products at once where that isn't paused: here the model comes first.
        self._api.set_paused(DESCRIBE, True)
        runs = summary.Runs(self.ingest(choice, force=True), self.retrain(force=True), self.describe(choice.drop_id))
        self._say("")
        summary_text.show(self._console, summary.collect(self._api, runs))

    def ingest(self, choice: DropChoice, *, force: bool = False) -> DagRun:
        """Upload the drop and run ``ingest_drop`` on it; with ``force`` even if the catalogue holds it unchanged."""
        directory = choice.directory or self._sample(choice)
        self._upload(directory, choice)
        run = self._follow(INGEST, choice.drop_id, {"force": force})
        decision = self._api.xcom(run, "changed", "decision")
        if not decision["passed"]:
            self._say(f"Skipped: {decision['reason']}")
        return run

    def requeue(self, drop_id: str, reason: str | None, rows: Path | None) -> DagRun:
        """Run ``requeue_drop``: judge a drop's quarantined rows again, all or those of one reason code, or mended."""
        monday = _monday(drop_id)
        rows_uri = self._upload_mended(rows, monday) if rows else None
        return self._follow(REQUEUE, None, {"drop": monday, "reason": reason, "rows": rows_uri})

    def retrain(self, *, force: bool) -> DagRun:
        """Run ``retrain_attribute_model``; with ``force`` even if few new products came."""
        return self._follow(RETRAIN, None, {"force": force})

    def describe(self, drop_id: str | None) -> DagRun:
        """Run ``describe_products`` for a drop, or for the latest that is published."""
        from lookbook.catalog import ingests  # takes a second, which other commands need not pay

        if (drop_id := drop_id or ingests.newest_drop()) is None:
            raise LaptopError("No drop is published yet: there is nothing to describe. make ingest first")
        return self._follow(DESCRIBE, drop_id, {})

    def redrive(self, drop_id: str, status: str) -> DagRun:
        """Run ``describe_products`` for a drop's products whose description failed, was withheld, or either."""
        return self._follow(DESCRIBE, None, {"drop": _monday(drop_id), "redrive": status})

    def _follow(self, dag_id: str, partition_key: str | None, conf: dict[str, Any]) -> DagRun:
        # Runs for other drops, a backfill's among them, are none of this command's business.
        same = (partition_key, conf.get("drop"))
        for open_run in (
            run for run in self._api.open_runs(dag_id) if (run.partition_key, run.conf.get("drop")) == same
        ):
            self._say(f"{dag_id}: an earlier run was left open ({open_run.run_id}); marking it failed")
            self._api.fail_run(open_run)
        self._api.set_paused(dag_id, False)
        run = self._api.trigger(dag_id, partition_key, conf)
        self._say(f"{dag_id}{f' for {partition_key}' if partition_key else ''}")
        try:
            run = self._show(run)
        except KeyboardInterrupt:
            self._api.fail_run(run)
            self._say(f"Interrupted: {run.run_id} is marked failed.")
            raise
        if run.state == "failed":
            raise LaptopError(self._failure(run))
        return run

    def _show(self, run: DagRun) -> DagRun:
        training = self._training_log()
        with reporter(self._console) as shown:
            for view in watching.watch(self._api, run):
                trains = run.dag_id == RETRAIN and any(task.state in {"running", "deferred"} for task in view.tasks)
                shown.show(view, training.new_lines() if trains else [])
                run = view.run
        return run

    def _failure(self, run: DagRun) -> str:
        failed = watching.failed_instances(self._api, run)
        tasks = "\n".join(f"  task {_name(instance)}\n  log  {self.log_of(instance)}" for instance in failed)
        return f"{run.dag_id} failed (run {run.run_id}):\n{tasks}\nAirflow stays up: make status, make down."

    def log_of(self, instance: TaskInstance) -> Path:
        """Return the log file of a task instance's last try."""
        path = self._places.task_logs / f"dag_id={instance.dag_id}" / f"run_id={instance.run_id}"
        path /= f"task_id={instance.task_id}"
        if instance.map_index >= 0:
            path /= f"map_index={instance.map_index}"
        return path / f"attempt={instance.try_number}.log"

    def _sample(self, choice: DropChoice) -> Path:
        from lookbook.drops.sample.layout import write_drop

        directory = self._places.sample_drop / f"{choice.drop_id}-{choice.products}"
        if not (directory / "styles.csv").exists():
            self._say(f"Drawing a sample drop of {choice.products} products")
            write_drop(directory, date.fromisoformat(choice.drop_id), choice.products, 0)
        return directory

    def _upload(self, directory: Path, choice: DropChoice) -> None:
        from lookbook.drops import upload
        from lookbook.errors import PermanentError

        try:
            uploaded = upload(directory, choice.drop_id, choice.limit)
        except PermanentError as error:
            raise LaptopError(str(error)) from error
        self._say(f"Uploaded {uploaded.rows} rows, {uploaded.files} files of {directory} to {uploaded.uri}")

    def _upload_mended(self, rows: Path, drop_id: str) -> str:
        from lookbook.catalog import mending
        from lookbook.errors import PermanentError

        try:
            stored = mending.upload(drop_id, rows.read_bytes(), str(rows))
        except (PermanentError, OSError) as error:
            raise LaptopError(str(error)) from error
        self._say(f"Uploaded the mended rows of {rows} to {stored.uri}")
        return stored.uri

    def _training_log(self) -> TrainingLog:
        from lookbook.aws import client

        return TrainingLog(client("sagemaker"), client("logs"))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)


def _name(instance: TaskInstance) -> str:
    if instance.map_index < 0:
        return instance.task_id
    return f"{instance.task_id}[{instance.map_index}]" + (f" ({instance.label})" if instance.label else "")


def _check_directory(directory: Path) -> None:
    from lookbook.drops import lines
    from lookbook.errors import PermanentError

    if not directory.is_dir():
        raise LaptopError(f"DROP={directory} is no directory. Expected one with styles.csv, images/ and styles/.")
    if not (directory / "styles.csv").is_file():
        raise LaptopError(f"DROP={directory} is no drop: it has no styles.csv.")
    try:
        with (directory / "styles.csv").open("rb") as file:
            lines.check_header(file.readline(), str(directory / "styles.csv"))
    except PermanentError as error:
        raise LaptopError(str(error)) from error


def _monday(text: str | None) -> str:
    if text is None:
        return last_monday(datetime.now(UTC).date()).isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.weekday():
        raise LaptopError(f"DATE={text} names no drop. A drop is named by the Monday of its week, e.g. 2026-11-16.")
    return day.isoformat()
