"""``python -m lookbook.housekeeping plan``: print what the next run of housekeeping would delete; deletes nothing.

Which DAG runs are over only Airflow knows: jobs are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lookbook.errors import LookbookError
from lookbook.housekeeping import models, pages, snapshots
from lookbook.housekeeping.plans import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plans of models and tables; return 1, with a message, where they can't be made."""
    parser = argparse.ArgumentParser(
        prog="python -m lookbook.housekeeping",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("plan", help="print what would go, and why")
    parser.parse_args(arguments)
    try:
        sys.stdout.write("\n".join(_text(plan) for plan in (models.plan(), snapshots.plan())))
    except LookbookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _text(plan: Plan) -> str:
    lines = [f"{plan.part}: {len(plan.expiries)} things, {pages.amount(plan.size)}"]
    for one in plan.expiries:
        size = f", {pages.amount(one.size)}" if one.size else ""
        lines.append(f"  {one.kind} {one.name} (since {one.since:%Y-%m-%d %H:%M}{size}): {one.why}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
