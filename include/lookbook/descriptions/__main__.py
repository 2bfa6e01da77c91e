"""``python -m lookbook.descriptions stale <version> <why>``: mark what a model helped to describe as stale.

For a model that was rolled back without *Mark stale*. Pause ``describe_products`` meanwhile.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lookbook.descriptions.staleness import mark_stale
from lookbook.errors import LookbookError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 1, with a message, when it fails."""
    parser = argparse.ArgumentParser(
        prog="python -m lookbook.descriptions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    stale = commands.add_parser("stale", help="mark a model's published descriptions as stale")
    stale.add_argument("version", help="the model's version, e.g. v3")
    stale.add_argument("why", help="the reason, which the rows keep")
    asked = parser.parse_args(arguments)
    try:
        marked = mark_stale(asked.version, asked.why)
    except LookbookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{marked.descriptions} descriptions are stale. Describe anew: {', '.join(marked.drops) or '–'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
