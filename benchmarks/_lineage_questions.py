"""Questions about lineage, timed in a process of their own: ``python -m benchmarks._lineage_questions <JSON>``.

The JSON names products, drops and models to ask about. Its last line is JSON: milliseconds of each answer, by kind; the
very first answer of the process, its imports aside, is a kind of its own. ``cpu`` is what the answers about products
took of this process's processor time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from lookbook.lineage import impact, queries


def main(asked: dict[str, list[str]]) -> None:
    """Ask about everything that ``asked`` names and print how long each answer took."""
    first, *products = asked["products"]
    taken = {"first": [_ms(_whole, first)]}
    used = time.process_time()
    taken["product"] = [_ms(_whole, one) for one in products]
    taken["cpu"] = [round((time.process_time() - used) * 1000 / len(products), 1)]
    for kind, ask in (("drop", impact.of_drop), ("model", impact.of_model), ("picture", impact.of_picture)):
        taken[kind] = [_ms(ask, name) for name in asked[f"{kind}s"]]
    print(json.dumps(taken))


def _whole(product_id: str) -> None:
    found = queries.chain(product_id)
    if found.problems:
        raise SystemExit(f"The chain of {product_id} is broken, which would be measured: {found.problems}")


def _ms(ask: Callable[[str], object], name: str) -> float:
    began = time.perf_counter()
    ask(name)
    return round((time.perf_counter() - began) * 1000, 1)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
