"""Plans one part of housekeeping, and carries a plan out: only what would still be planned goes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lookbook.housekeeping import jobs, models, plans, snapshots
from lookbook.housekeeping.jobs import RunEnded
from lookbook.housekeeping.plans import Expiry, Outcome, Part, Plan
from lookbook.settings import get_settings

log = logging.getLogger(__name__)


def plan(part: Part, has_ended: RunEnded) -> Plan:
    """Plan what is to go of a part.

    Args:
        part: which.
        has_ended: tells whether a DAG run, by DAG and run id, has come to its end.
    """
    if part == "jobs":
        return jobs.plan(has_ended)
    return models.plan() if part == "models" else snapshots.plan()


def plan_run(part: Part, run_key: str, has_ended: RunEnded) -> dict[str, Any]:
    """Plan what is to go of a part, keep the plan for the run, and return the reference to it."""
    return plans.write(plan(part, has_ended), run_key)


def carry_out(plan_uri: str, has_ended: RunEnded, *, dry_run: bool, max_share: float | None = None) -> Outcome:
    """Let go what a plan names, unless something has come to refer to it since it was made.

    Done twice, it leaves what once leaves; stopped halfway, the rest goes the next time.

    Args:
        plan_uri: of a plan that was kept.
        has_ended: as in :func:`plan`.
        dry_run: only say what would go.
        max_share: share of a kind that may go; ``None``: as set.

    Raises:
        TooMuchError: a larger share would go; nothing was deleted.
    """
    made = plans.read(plan_uri)
    plans.check_share(made, max_share if max_share is not None else get_settings().max_expired_share)
    if dry_run:
        return plans.record_outcome(_outcome(made.part, True, made.expiries), plan_uri)
    still = {expiry.key for expiry in plan(made.part, has_ended).expiries}
    going = tuple(expiry for expiry in made.expiries if expiry.key in still)
    if len(going) < len(made.expiries):
        log.info("%d planned things are referred to again, or gone already.", len(made.expiries) - len(going))
    _expire(made.part, going, has_ended)
    return plans.record_outcome(_outcome(made.part, False, going), plan_uri)


def _expire(part: Part, going: Sequence[Expiry], has_ended: RunEnded) -> None:
    if part == "jobs":
        jobs.expire(going, has_ended)
    elif part == "models":
        models.expire(going)
    else:
        snapshots.expire(going)


def _outcome(part: Part, dry_run: bool, expiries: Sequence[Expiry]) -> Outcome:
    numbers: dict[str, int] = dict(Counter(expiry.kind for expiry in expiries))
    return Outcome(part, dry_run, numbers, sum(expiry.size for expiry in expiries))
