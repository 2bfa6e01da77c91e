"""A plan of housekeeping: what is to go, why, how old and how large it is; in S3 before anything is deleted.

housekeeping/<run>/<part>/plan.json      what is to go
housekeeping/<run>/<part>/page.html      the same, to read
housekeeping/<run>/<part>/outcome.json   what went
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

import orjson

from lookbook import storage
from lookbook.errors import PermanentError
from lookbook.housekeeping import pages
from lookbook.lineage import records
from lookbook.settings import get_settings

log = logging.getLogger(__name__)

Part = Literal["models", "tables", "jobs"]
Kind = Literal[
    "endpoint_config",
    "model",
    "artefact",
    "checkpoints",
    "data_set",
    "audit_branch",
    "snapshot",
    "table_file",
    "small_files",
    "training_job",
    "transform_job",
    "endpoint",
]

PAGES = (*get_args(Part), "costs")
_RUN_KEY = re.compile(r"[A-Za-z0-9._=-]{1,300}")

# Of so few, even all may go: a share says nothing of them.
_FEW = 10
_LOGGED = 20


class PageNotFoundError(PermanentError):
    """A run of housekeeping has no such page."""


class TooMuchError(PermanentError):
    """A plan would delete so large a share that a mistake is likelier than so much waste."""


@dataclass(frozen=True)
class Expiry:
    """One thing that is to go.

    ``since`` is when it was made or last written, ``size`` its bytes in S3 (0 for what takes none).
    """

    kind: Kind
    name: str
    why: str
    since: datetime
    size: int = 0

    @property
    def key(self) -> tuple[Kind, str]:
        """What it is recognised by in a later plan."""
        return self.kind, self.name


@dataclass(frozen=True)
class Plan:
    """What is to go of one part; ``existing`` counts what there is of each kind, ``left`` says what needs a person."""

    part: Part
    made_at: datetime
    expiries: tuple[Expiry, ...]
    existing: Mapping[Kind, int]
    left: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that would be freed."""
        return sum(expiry.size for expiry in self.expiries)


@dataclass(frozen=True)
class Outcome:
    """What became of a plan: how many went of each kind, and the bytes they took."""

    part: Part
    dry_run: bool
    deleted: dict[str, int] = field(default_factory=dict)
    size: int = 0

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def root_of(run_key: str) -> str:
    """Return the S3 prefix of a run, without a slash at its end; ``run_key`` is Airflow's run id."""
    return f"s3://{get_settings().bucket}/housekeeping/{storage.key_part(run_key)}"


def write(plan: Plan, run_key: str) -> dict[str, Any]:
    """Store a plan and its page, tell its essence in the log, and return the reference to it."""
    uri = f"{root_of(run_key)}/{plan.part}/plan.json"
    records.writes_object(storage.write_json(uri, _as_json(plan)))
    html = _page(plan).encode()
    records.writes_object(storage.write_bytes(page_uri(run_key, plan.part), html, "text/html; charset=utf-8"))
    numbers = dict(Counter(expiry.kind for expiry in plan.expiries))
    log.info("To go: %s, %s. Plan: %s", numbers or "nothing", pages.amount(plan.size), uri)
    for expiry in plan.expiries[:_LOGGED]:
        log.info("%s %s (since %s): %s", expiry.kind, expiry.name, f"{expiry.since:%Y-%m-%d %H:%M}", expiry.why)
    for note in plan.left:
        log.warning("%s", note)
    return {"uri": uri, "part": plan.part, "expiries": len(plan.expiries), "size": plan.size, "left": len(plan.left)}


def read(uri: str) -> Plan:
    """Return the plan stored at ``uri``."""
    stored = orjson.loads(records.read_object(uri))
    expiries = [{**one, "since": datetime.fromisoformat(one["since"])} for one in stored.pop("expiries")]
    return Plan(
        part=stored["part"],
        made_at=datetime.fromisoformat(stored["made_at"]),
        expiries=tuple(Expiry(**one) for one in expiries),
        existing=stored["existing"],
        left=tuple(stored["left"]),
    )


def page(run_key: str, name: str) -> bytes:
    """Return a page that a run of housekeeping left: ``models``, ``tables``, ``jobs`` or ``costs``.

    Args:
        run_key: from outside, as :func:`lookbook.storage.key_part` makes it of a run id.
        name: from outside.

    Raises:
        PageNotFoundError: there is none.
    """
    if name not in PAGES or not _RUN_KEY.fullmatch(run_key):
        raise PageNotFoundError(f"Housekeeping has no page {name!r} of a run {run_key!r}.")
    try:
        return storage.read_bytes(page_uri(run_key, name))
    except storage.ObjectNotFoundError as error:
        raise PageNotFoundError(f"Run {run_key} left no page {name}: it got not so far, or it was deleted.") from error


def page_uri(run_key: str, name: str) -> str:
    """Return where a page of a run lies."""
    return f"{root_of(run_key)}/{name}/page.html"


def check_share(plan: Plan, most: float) -> None:
    """Make sure that a plan leaves enough of every kind.

    Args:
        plan: counts in ``existing`` what there is; kinds that it does not count are not checked.
        most: share of 1 that may go of a kind that has more than a few.

    Raises:
        TooMuchError: more would go.
    """
    for kind, going in Counter(expiry.kind for expiry in plan.expiries).items():
        existing = plan.existing.get(kind, 0)
        if existing > _FEW and going > most * existing:
            raise TooMuchError(
                f"{going} of {existing} things of kind {kind} would go, more than a share of {most:g}: nothing was "
                "deleted. Look at the plan. If it is right, trigger the DAG with 'Max share' set to 1; if not, are "
                "LOOKBOOK_MODEL_PACKAGE_GROUP and LOOKBOOK_BUCKET those of this installation?"
            )


def record_outcome(outcome: Outcome, plan_uri: str) -> Outcome:
    """Store what became of a plan beside it and report it."""
    stored = storage.write_json(f"{plan_uri.rpartition('/')[0]}/outcome.json", outcome.reference())
    records.writes_object(stored)
    records.details(dry_run=str(outcome.dry_run).lower())
    records.counts(**outcome.deleted)
    verb = "would have gone" if outcome.dry_run else "gone"
    log.info("%s %s, %s", outcome.deleted or "nothing", verb, pages.amount(outcome.size))
    return outcome


def _as_json(plan: Plan) -> dict[str, Any]:
    return {
        **asdict(plan),
        "made_at": plan.made_at.isoformat(),
        "expiries": [{**asdict(one), "since": one.since.isoformat()} for one in plan.expiries],
    }


def _page(plan: Plan) -> str:
    rows = [
        (one.kind, one.name, one.why, f"{one.since:%Y-%m-%d %H:%M}", pages.amount(one.size)) for one in plan.expiries
    ]
    tables = [pages.table("To go", ("kind", "name", "why", "since", "size"), rows)]
    if plan.left:
        tables.append(pages.table("Left to a person", ("what",), [(note,) for note in plan.left]))
    intro = f"Planned {plan.made_at:%Y-%m-%d %H:%M} UTC: {len(plan.expiries)} things, {pages.amount(plan.size)}."
    return pages.page(f"Housekeeping: {plan.part}", intro, tables)
