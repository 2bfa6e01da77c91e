"""The laptop's command line, which the Makefile calls: ``python -m laptop up | down | status | demo | …``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from rich.console import Console

from laptop import commands
from laptop.errors import LaptopError
from laptop.places import places
from laptop.ports import Ports

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 1 with a message when it failed, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    session = commands.Session(places(options.state), Ports(options.airflow_port, options.aws_port), console)
    for number in (signal.SIGINT, signal.SIGTERM):  # the first may come ignored, from a shell that started us aside
        signal.signal(number, _interrupt)
    try:
        return int(options.command(session, options) or 0)
    except LaptopError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"\n{error}", style="red")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Once is enough: what is being stopped because of the first Ctrl-C must not be cut short by the second.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m laptop", description="Lookbook on one machine.")
    parser.add_argument("--state", default=".lookbook", help="directory for everything that is written")
    parser.add_argument("--airflow-port", type=int, default=8080, help="port of Airflow, or the next free one")
    parser.add_argument("--aws-port", type=int, default=4566, help="port of local AWS, or the next free one")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[..., int | None], summary: str) -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, help=summary, description=summary)
        added.set_defaults(command=command)
        return added

    add("up", commands.up, "Start everything")
    add("down", commands.down, "Stop everything")
    add("status", commands.status, "Show what runs")
    _add_drop_options(add("demo", commands.demo, "Drop, model and descriptions, start to end"))
    ingest = add("ingest", commands.ingest, "Put a drop into S3 and ingest it")
    _add_drop_options(ingest)
    ingest.add_argument("--force", action="store_true", help="even if the catalogue holds it unchanged")
    requeue = add("requeue", commands.requeue, "Judge a drop's quarantined rows again")
    requeue.add_argument("--drop", required=True, help="the drop's Monday, e.g. 2026-11-16")
    requeue.add_argument("--reason", help="only rows quarantined for this reason code, and mended ones")
    requeue.add_argument("--rows", type=Path, help="CSV file of rows that were mended")
    add("retrain", commands.retrain, "Retrain the attribute model").add_argument(
        "--force", action="store_true", help="even if few new products came"
    )
    add("describe", commands.describe, "Describe a drop's products").add_argument(
        "--date", help="the drop's Monday; by default the latest drop"
    )
    redrive = add("redrive", commands.redrive, "Describe a drop's withheld and failed products again")
    redrive.add_argument("--drop", required=True, help="the drop's Monday, e.g. 2026-11-16")
    redrive.add_argument("--status", choices=["failed", "withheld", "both"], default="both")
    add("local-aws", commands.local_aws, "Run only local AWS, in the foreground")
    add("prepare", commands.prepare, "Create bucket, base model and tables where the environment points")
    add("env-file", commands.env_file, "Print keys for docker compose's .env")
    add("run", commands.run, "Run a command as part of the platform").add_argument(
        "words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments"
    )
    return parser


def _add_drop_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--drop", help="directory in Kaggle's layout; by default a drawn sample")
    parser.add_argument("--limit", type=int, help="take only this many rows of the drop")
    parser.add_argument("--date", help="the drop's Monday, e.g. 2026-11-16; by default the last Monday")
    parser.add_argument("--products", type=int, default=200, help="rows of the drawn sample (default 200)")


if __name__ == "__main__":
    sys.exit(main())
