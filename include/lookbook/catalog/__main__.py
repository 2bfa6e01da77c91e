"""``python -m lookbook.catalog``: get a drop's quarantined rows out, and hand them in mended.

``quarantine <drop>`` prints the quarantined rows of a drop as CSV, to be mended. ``mended <drop> <file>`` stores the
mended file and prints its URI, for the parameter *Rows* of ``requeue_drop``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lookbook.catalog import mending, requeueing
from lookbook.errors import LookbookError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 1, with a message, when the drop or the file is not one."""
    parser = argparse.ArgumentParser(
        prog="python -m lookbook.catalog", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    quarantine = commands.add_parser("quarantine", help="print the quarantined rows of a drop as CSV")
    mended = commands.add_parser("mended", help="store mended rows and print their URI")
    for command in (quarantine, mended):
        command.add_argument("drop", help="the drop's Monday, e.g. 2026-11-16")
    mended.add_argument("file", type=Path, help="the CSV file of mended rows")
    asked = parser.parse_args(arguments)
    try:
        sys.stdout.write(requeueing.quarantined(asked.drop) if asked.command == "quarantine" else _stored(asked))
    except (LookbookError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _stored(asked: argparse.Namespace) -> str:
    return f"{mending.upload(asked.drop, asked.file.read_bytes(), str(asked.file)).uri}\n"


if __name__ == "__main__":
    sys.exit(main())
