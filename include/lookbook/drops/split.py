"""Cut a catalogue into dated drops: ``python -m lookbook.drops.split CATALOGUE OUT``.

A catalogue is a directory in Kaggle's layout. Every row goes into exactly one drop, its line as it is, byte for byte;
pictures and JSON are hard links where the file system allows it, so that a cut costs next to no space.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from lookbook.drops import lines, uploading
from lookbook.drops.discovery import drop_uri
from lookbook.drops.lines import Row
from lookbook.errors import PermanentError
from lookbook.progress import Progress

logger = logging.getLogger(__name__)

# A season's drop is dated by the first Monday of the season's first month.
SEASON_MONTHS = {"Spring": 3, "Summer": 6, "Fall": 9, "Winter": 12}
_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class PlannedDrop:
    """One drop to cut: its Monday, why these rows belong together, and the rows."""

    drop_id: str
    label: str
    rows: tuple[Row, ...]


def plan_by_season(rows: list[Row], undated: str | None = None) -> list[PlannedDrop]:
    """Return a drop for each year and season, oldest first, and one for the rows that do not tell theirs.

    Args:
        rows: every row of the catalogue.
        undated: Monday of the drop of rows without year or season; by default the Monday after the latest drop.

    Raises:
        PermanentError: ``undated`` is no Monday or another drop's, or is needed since no row is dated.
    """
    dated: dict[date, list[Row]] = {}
    left: list[Row] = []
    for row in rows:
        monday = _season_monday(row)
        (dated.setdefault(monday, []) if monday else left).append(row)
    drops = [PlannedDrop(str(monday), _season(group[0]), tuple(group)) for monday, group in sorted(dated.items())]
    if not left:
        return drops
    if undated is None and not drops:
        raise PermanentError("No row has a year and a season. Say which Monday they belong to: --undated 2012-01-02.")
    drop_id = undated or str(max(dated) + _WEEK)
    drop_uri(drop_id)
    if any(drop.drop_id == drop_id for drop in drops):
        raise PermanentError(f"--undated {drop_id} is the date of another drop. Choose a Monday that is free.")
    return [*drops, PlannedDrop(drop_id, "no year or season", tuple(left))]


def plan_per_week(rows: list[Row], products: int, first: str) -> list[PlannedDrop]:
    """Return a drop for every ``products`` rows in the order of the file, a week apart.

    Args:
        rows: every row of the catalogue.
        products: rows a drop; the last one takes what is left.
        first: Monday of the first drop.

    Raises:
        PermanentError: ``first`` is no Monday, or ``products`` is less than 1.
    """
    drop_uri(first)
    if products < 1:
        raise PermanentError(f"--per-week {products} takes no product. Expected a number of rows, at least 1.")
    monday = date.fromisoformat(first)
    groups = [tuple(rows[at : at + products]) for at in range(0, len(rows), products)]
    return [
        PlannedDrop(
            str(monday + number * _WEEK), f"rows {number * products + 1} to {number * products + len(group)}", group
        )
        for number, group in enumerate(groups)
    ]


def cut(catalogue: Path, out: Path, plan: list[PlannedDrop]) -> None:
    """Write every planned drop to ``out/<Monday>/``, complete with ``_SUCCESS``.

    Raises:
        PermanentError: a directory of a planned drop is there already; nothing is written then.
    """
    if there := [drop.drop_id for drop in plan if (out / drop.drop_id).exists()]:
        raise PermanentError(
            f"{out} holds {', '.join(there[:5])} already ({len(there)} drops). Choose another directory."
        )
    source = _Catalogue(catalogue)
    progress = Progress(logger, f"cutting {catalogue}", sum(len(drop.rows) for drop in plan))
    for drop in plan:
        source.write(out / drop.drop_id, drop.rows)
        progress.advance(len(drop.rows))


def upload_all(out: Path, plan: list[PlannedDrop]) -> None:
    """Upload every drop that was cut to the bucket."""
    for drop in plan:
        uploading.upload(out / drop.drop_id, drop.drop_id)


class _Catalogue:
    """A directory to cut, with its two tables in memory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        content = uploading.styles_csv(directory)
        self._separator = b"\n" if b"\n" in content else b"\r"
        self._lines = content.split(self._separator)
        links = directory / "images.csv"
        self._links = links.read_bytes().splitlines(keepends=True) if links.is_file() else []
        self._link_of = {link.partition(b",")[0].strip(b'"'): link for link in self._links[1:]}

    def write(self, target: Path, rows: tuple[Row, ...]) -> None:
        for name in ("images", "styles"):
            (target / name).mkdir(parents=True)
        kept = [self._lines[0], *(line for row in rows for line in self._raw(row)), b""]
        (target / "styles.csv").write_bytes(self._separator.join(kept))
        for name, path in uploading.files_of(self._directory, list(rows)).items():
            _link(path, target / name)
        if self._links:
            (target / "images.csv").write_bytes(self._links_of(rows))
        (target / "_SUCCESS").touch()

    def _raw(self, row: Row) -> list[bytes]:
        return self._lines[row.line_number - 1 : row.line_number - 1 + row.line_count]

    def _links_of(self, rows: tuple[Row, ...]) -> bytes:
        names = [f"{row.fields['id']}.jpg".encode() for row in rows if "id" in row.fields]
        return b"".join([self._links[0], *(self._link_of[name] for name in names if name in self._link_of)])


def _season_monday(row: Row) -> date | None:
    """Return the first Monday of the row's season, or ``None`` if it does not tell year and season."""
    year, month = row.fields.get("year", ""), SEASON_MONTHS.get(row.fields.get("season", ""))
    if month is None or not year.isdigit() or int(year) < 1:
        return None
    first = date(int(year), month, 1)
    return first + timedelta(days=-first.weekday() % 7)


def _season(row: Row) -> str:
    return f"{row.fields['season']} {row.fields['year']}"


def _link(path: Path, target: Path) -> None:
    """Link a file, or copy it where the two directories lie on different file systems."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def main(arguments: list[str] | None = None) -> int:
    """Plan, print the plan, and cut; return 0, or 2 with the reason on standard error."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        rows = list(lines.read_rows(uploading.styles_csv(options.catalogue)))
        plan = _plan(rows, options)
        _print_plan(plan)
        if not options.dry_run:
            cut(options.catalogue, options.out, plan)
        if options.upload and not options.dry_run:
            upload_all(options.out, plan)
    except PermanentError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _plan(rows: list[Row], options: argparse.Namespace) -> list[PlannedDrop]:
    if options.per_week is not None:
        return plan_per_week(rows, options.per_week, options.first)
    return plan_by_season(rows, options.undated)


def _print_plan(plan: list[PlannedDrop]) -> None:
    for drop in plan:
        sys.stdout.write(f"{drop.drop_id}  {len(drop.rows):6d} rows  {drop.label}\n")
    sys.stdout.write(f"{len(plan)} drops, {sum(len(drop.rows) for drop in plan)} rows\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lookbook.drops.split", description="Cut a catalogue into drops.")
    parser.add_argument("catalogue", type=Path, metavar="CATALOGUE", help="directory in Kaggle's layout")
    parser.add_argument("out", type=Path, metavar="OUT", help="directory that gets one directory a drop")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--by", choices=["season"], default="season", help="a drop a year and season (the default)")
    way.add_argument("--per-week", type=int, metavar="N", help="a drop for every N rows, in the order of the file")
    parser.add_argument("--first", default="2012-01-02", help="Monday of the first drop of --per-week (%(default)s)")
    parser.add_argument("--undated", help="Monday of the rows without year or season; by default after the latest")
    parser.add_argument("--upload", action="store_true", help="upload the drops to the bucket as well")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
