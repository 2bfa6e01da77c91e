"""Command line: ``python -m lookbook.drops.sample --products 200 --date 2026-11-16 OUT``."""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import date
from pathlib import Path

from lookbook.drops.sample.layout import write_drop
from lookbook.errors import PermanentError


def main(arguments: list[str] | None = None) -> int:
    """Write a sample drop; return 0, or 2 with the reason on standard error."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        sample = write_drop(options.out, options.date, options.products, options.seed, plain=options.plain)
    except PermanentError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    quirks = ", ".join(f"{name} {count}" for name, count in sample.quirks.items()) or "none"
    logging.getLogger(__name__).info("wrote %d rows to %s; quirks: %s", sample.rows, sample.directory, quirks)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lookbook.drops.sample", description="Draw a sample drop.")
    parser.add_argument("out", type=Path, metavar="OUT", help="directory to write; must not exist or be empty")
    parser.add_argument("--products", type=int, default=200, help="rows of styles.csv (default 200)")
    parser.add_argument("--date", type=date.fromisoformat, required=True, help="the drop's Monday, e.g. 2026-11-16")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes (default 0)")
    parser.add_argument(
        "--plain", action="store_true", help="no quirks, every attribute stated: what the base model learns from"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
