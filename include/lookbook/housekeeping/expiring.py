"""Plans one part of housekeeping, and carries a plan out: only what would still be planned goes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from lookbook.housekeeping import models, plans, snapshots
from lookbook.housekeeping.plans import Expiry, Outcome, Part, Plan
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

# Each has plan() and expire(expiries).
_PARTS: dict[Part, ModuleType] = {"models": models, "tables": snapshots}


def plan(part: Part) -> Plan:
    """Plan what is to go of a part."""
    planned: Plan = _PARTS[part].plan()
    return planned


def plan_run(part: Part, run_key: str) -> dict[str, Any]:
    """Plan what is to go of a part, keep the plan for the run, and return the reference to it."""
    return plans.write(plan(part), run_key)


def carry_out(plan_uri: str, *, dry_run: bool, max_share: float | None = None) -> Outcome:
    """Let go what a plan names, unless something has come to refer to it since it was made.

    Done twice, it leaves what once leaves; stopped halfway, the rest goes the next time.

    Args:
        plan_uri: of a plan that was kept.
        dry_run: only say what would go.
        max_share: share of a kind that may go; ``None``: as set.

    Raises:
        TooMuchError: a larger share would go; nothing was deleted.
    """
    made = plans.read(plan_uri)
    plans.check_share(made, max_share if max_share is not None else get_settings().max_expired_share)
    if dry_run:
        return plans.record_outcome(_outcome(made.part, True, made.expiries), plan_uri)
    still = {expiry.key for expiry in plan(made.part).expiries}
    going = tuple(expiry for expiry in made.expiries if expiry.key in still)
    if len(going) < len(made.expiries):
        log.info("%d planned things are referred to again, or gone already.", len(made.expiries) - len(going))
    _PARTS[made.part].expire(going)
    return plans.record_outcome(_outcome(made.part, False, going), plan_uri)


def _outcome(part: Part, dry_run: bool, expiries: Sequence[Expiry]) -> Outcome:
    numbers: dict[str, int] = dict(Counter(expiry.kind for expiry in expiries))
    return Outcome(part, dry_run, numbers, sum(expiry.size for expiry in expiries))
