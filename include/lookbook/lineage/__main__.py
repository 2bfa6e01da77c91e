"""``python -m lookbook.lineage product <id> [--json]``: where a description came from, as a tree or as JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import orjson

from lookbook.errors import LookbookError
from lookbook.lineage import queries


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a product's chain; return 1 when it has none or a link of it is broken."""
    parser = argparse.ArgumentParser(prog="python -m lookbook.lineage", description=__doc__)
    subjects = parser.add_subparsers(dest="subject", required=True)
    product = subjects.add_parser("product", help="the chain from a product's description back to its picture")
    product.add_argument("product_id")
    product.add_argument("--json", action="store_true", help="print JSON instead of a tree")
    asked = parser.parse_args(arguments)
    try:
        found = queries.chain(asked.product_id)
    except LookbookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    shown = orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2).decode() if asked.json else found.text()
    sys.stdout.write(f"{shown}\n")
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
