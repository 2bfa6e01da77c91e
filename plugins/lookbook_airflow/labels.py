"""What mapped tasks are called in the UI: by what they do, and once they are done, by what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow.sdk import get_current_context

from lookbook_airflow.lineage import drop_of
from lookbook_airflow.links import ProductLink

# Rendered before the task runs and again after it.
SHARD_LABEL = "{{ outcome | default(task.op_kwargs['shard']['label']) }}"

_PRODUCT = re.compile(r"[0-9]{1,12}(?= |$)")  # what a shard of one product is called begins with its id
_COUNTED = ("published", "withheld", "failed")


def labelled(shard: Mapping[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    """Name the mapped task that described ``shard`` by its counts, and return them: *shard 1 of 9: 98 published …*.

    A task of one product says only what became of it, and gets a button to the product's page.
    """
    context: Any = get_current_context()
    product = _PRODUCT.match(shard["label"])
    counted = [name if product else f"{done[name]} {name}" for name in _COUNTED if done[name]]
    context["outcome"] = f"{shard['label']}: {', '.join(counted)}"
    if product:
        ProductLink().push(context["ti"], product[0], drop_of(context))
    return done
