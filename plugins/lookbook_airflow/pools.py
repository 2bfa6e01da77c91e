"""Print the pools in the form that ``airflow pools import`` reads: pools are code, not clicks.

``python -m lookbook_airflow.pools > pools.json && airflow pools import pools.json``
"""

from __future__ import annotations

import json
import sys

from lookbook_airflow.defaults import POOL_SLOTS


def as_import_file() -> str:
    """Return every pool as the JSON that ``airflow pools import`` reads."""
    pools = {
        pool.value: {"slots": slots, "description": description, "include_deferred": True}
        for pool, (slots, description) in POOL_SLOTS.items()
    }
    return json.dumps(pools, indent=2)


if __name__ == "__main__":
    sys.stdout.write(as_import_file() + "\n")
