"""Whether it is worth training again."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from lookbook.catalog import tables
from lookbook.lineage import records
from lookbook.settings import get_settings
from lookbook.training import registry
from lookbook.vqa import datasets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """Whether to train, why in words, and how many question/answer pairs the model in service has not seen."""

    passed: bool
    reason: str
    new_pairs: int

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def enough_new_pairs(force: bool = False) -> Decision:
    """Decide whether enough labelled pairs came since the data set of the model in service.

    Args:
        force: train whatever came; the reason says so.
    """
    champion = registry.champion()
    new = datasets.new_pairs(tables.current_snapshot("catalog.products"), champion.dataset_id if champion else None)
    needed = get_settings().min_new_pairs if champion else 1
    since = f"since model {champion.version}" if champion else "and no model is in service"
    decision = _decide(f"{new} new labelled pairs {since}, {needed} needed", new, needed, force)
    if champion:
        records.reads("model_package", get_settings().model_package_group, champion.package_arn)
    records.details(training=decision.reason)
    records.counts(new_pairs=new)
    log.info("%s: %s", "Training" if decision.passed else "Not training", decision.reason)
    return decision


def _decide(reason: str, new: int, needed: int, force: bool) -> Decision:
    if force and new < needed:
        return Decision(True, f"{reason}; forced", new)
    return Decision(new >= needed, reason, new)
