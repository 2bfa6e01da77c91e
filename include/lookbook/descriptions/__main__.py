"""The descriptions' command line, for what is no DAG's: ``python -m lookbook.descriptions <command>``.

stale VERSION WHY   mark what a model helped to describe as stale: for one that was rolled back without *Mark stale*.
                    Pause ``describe_products`` meanwhile.
redrive DROP        show what a redrive would ask about again, and how to start it
cost                tell what texts cost: this month, or --month, --drop, --run
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from lookbook.descriptions import paid, redriving
from lookbook.descriptions.staleness import mark_stale
from lookbook.errors import LookbookError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 1, with a message, when it fails."""
    asked = _parser().parse_args(arguments)
    try:
        sys.stdout.write(asked.run(asked))
    except LookbookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lookbook.descriptions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    stale = commands.add_parser("stale", help="mark a model's published descriptions as stale")
    stale.add_argument("version", help="the model's version, e.g. v3")
    stale.add_argument("why", help="the reason, which the rows keep")
    stale.set_defaults(run=_stale)
    redrive = commands.add_parser("redrive", help="show what a redrive would ask about again")
    redrive.add_argument("drop", help="the drop's Monday, e.g. 2026-11-16")
    redrive.add_argument("--status", choices=["failed", "withheld", "both"], default="both")
    redrive.set_defaults(run=_redrive)
    cost = commands.add_parser("cost", help="tell what texts cost")
    what = cost.add_mutually_exclusive_group()
    what.add_argument("--month", type=_month, help="a calendar month (UTC), e.g. 2026-11; by default this one")
    what.add_argument("--drop", help="the drop's Monday: all that was ever paid for it")
    what.add_argument("--run", help="the run's id, as Airflow shows it", dest="run_id")
    cost.set_defaults(run=_cost)
    return parser


def _stale(asked: argparse.Namespace) -> str:
    marked = mark_stale(asked.version, asked.why)
    return f"{marked.descriptions} descriptions are stale. Describe anew: {', '.join(marked.drops) or '–'}\n"


def _redrive(asked: argparse.Namespace) -> str:
    found = redriving.waiting(asked.drop, asked.status)
    if not found:
        return f"Drop {asked.drop}: nothing to drive again.\n"
    lines = [f"{number:>6}  {status}: {reason}\n" for (status, reason), number in found.most_common()]
    conf = json.dumps({"drop": asked.drop, "redrive": asked.status})
    start = f"Start it: airflow dags trigger describe_products --conf '{conf}'\n"
    return f"Drop {asked.drop}: {found.total()} to drive again\n{''.join(lines)}{start}"


def _cost(asked: argparse.Namespace) -> str:
    if asked.run_id:
        return paid.table(paid.paid_by(asked.run_id), ("drop_id", "model_id", "mode"))
    if asked.drop:
        return paid.table(paid.paid(asked.drop), ("run_id", "model_id", "mode"))
    start = asked.month or _month(f"{datetime.now(UTC):%Y-%m}")
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return paid.table(paid.paid(since=start, until=end), ("drop_id", "model_id", "mode"))


def _month(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
