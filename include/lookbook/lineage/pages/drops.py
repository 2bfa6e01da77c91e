"""The pages of drops: all of them with counts and quality, one with its products, and what depends on one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import And

from lookbook import storage
from lookbook.catalog import tables
from lookbook.errors import PermanentError
from lookbook.lineage import impact, tallies
from lookbook.lineage.impact import Impact
from lookbook.lineage.pages import graph
from lookbook.lineage.pages.layout import Crumb, PageNotFoundError, Section, render
from lookbook.lineage.pages.links import Links
from lookbook.lineage.tallies import Run, Texts
from lookbook.settings import get_settings

ROWS = 50  # products, or drops, on one page
_STATUSES = ("published", "withheld", "failed", "stale")
_NONE = "none"  # the status of a product without a description
_RUNS = 20
_REASONS = 8
_DRAWN = 40  # boxes of a graph that one still takes in at a look; of more, the list below it is clearer
_LISTED = 4  # drops whose products are kept: a person pages and searches in one
_SECTION_OF: Mapping[str, Section] = {"drop": "drops", "model": "models", "picture": "search"}
_DESCRIBING, _TAKING_IN = ("describe_products",), ("ingest_drop", "requeue_drop")


@dataclass(frozen=True)
class Described:
    """What became of a drop's products: how many descriptions have which status, by what, and what they took.

    ``faithful`` of ``judged`` texts passed the check of faithfulness by themselves, before any person decided.
    """

    statuses: Mapping[str, int]
    judged: int
    faithful: int
    text_models: tuple[str, ...]
    prompts: tuple[str, ...]
    attribute_models: tuple[str, ...]
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: float
    unpriced: int

    @property
    def number(self) -> int:
        """How many descriptions there are, whatever became of them."""
        return sum(self.statuses.values())

    @property
    def pass_rate(self) -> float | None:
        """The share of judged texts that were faithful; ``None`` where none was judged."""
        return self.faithful / self.judged if self.judged else None


@dataclass(frozen=True)
class Drop:
    """One drop: what the catalogue and the quarantine hold of it, what was described, and the last run of each kind."""

    drop_id: str
    products: int
    quarantined: int
    reasons: Mapping[str, int]
    findings: int
    described: Described
    ingested: Run | None
    described_by: Run | None

    @property
    def rejected_share(self) -> float | None:
        """The share of the drop's rows that are in quarantine; ``None`` where it has no rows."""
        rows = self.products + self.quarantined
        return self.quarantined / rows if rows else None

    @property
    def published(self) -> bool:
        """Whether readers of the catalogue see it: only what passed its validation is published."""
        return self.products > 0

    @property
    def missing(self) -> int:
        """How many products of the catalogue have no description at all."""
        return max(0, self.products - self.described.number)


@dataclass(frozen=True)
class Validation:
    """What the last validation of a drop said; ``refused`` holds why it was refused whole, if it was."""

    suite: str
    rows: int
    rejected: int
    refused: tuple[str, ...]
    warnings: Mapping[str, int]
    drift: str | None
    at: datetime


@dataclass(frozen=True)
class Detail:
    """All that the page of a drop says besides its products; ``whys`` are the reasons of withheld and failed texts."""

    drop: Drop
    validation: Validation | None
    whys: tuple[tuple[str, int], ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Product:
    """A product of a drop, and what became of its description."""

    product_id: str
    name: str | None
    article_type: str | None
    status: str


@dataclass(frozen=True)
class Listed:
    """The products of a drop that are asked for, a page of them; ``statuses`` counts those that the words find."""

    asked: str
    status: str | None
    page: int
    found: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    products: tuple[Product, ...] = ()

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.found // ROWS))


def overview() -> tuple[Drop, ...]:
    """Return every drop that the tables or a run's records know, the newest first."""
    products, quarantined, findings = tallies.products(), tallies.quarantined(), tallies.findings()
    reasons, runs, texts = tallies.reasons(), _by_drop(tallies.runs()), _by_drop(tallies.texts())
    known = products.keys() | quarantined.keys() | runs.keys() | texts.keys()
    return tuple(
        Drop(
            drop_id,
            products=products.get(drop_id, 0),
            quarantined=quarantined.get(drop_id, 0),
            reasons=reasons.get(drop_id, {}),
            findings=findings.get(drop_id, 0),
            described=_described(texts.get(drop_id, ())),
            ingested=_last(runs.get(drop_id, ()), _TAKING_IN),
            described_by=_last(runs.get(drop_id, ()), _DESCRIBING),
        )
        for drop_id in sorted(known, reverse=True)
    )


def detail(drop_id: str) -> Detail:
    """Return what is known of a drop.

    Raises:
        PageNotFoundError: neither the tables nor any run's records know it.
    """
    drop = next((drop for drop in overview() if drop.drop_id == drop_id), None)
    if drop is None:
        raise PageNotFoundError(f"There is no drop {drop_id}. A drop is named by its Monday: 2026-11-16.")
    runs = [run for run in tallies.runs() if run.drop_id == drop_id]
    return Detail(drop, _validation(drop_id), _whys(drop), tuple(reversed(runs[-_RUNS:])))


def listed(drop_id: str, asked: str = "", status: str | None = None, page: int = 1) -> Listed:
    """Return a page of a drop's products.

    Args:
        drop_id: of which drop.
        asked: words that the id, the name or the article type hold, in either case; none means all.
        status: only those with a description of this status, ``none`` for those without; ``None`` means all.
        page: counts from one; one beyond the last is empty.
    """
    snapshots = tables.current_snapshot("catalog.products"), tables.current_snapshot("descriptions.descriptions")
    rows = _products(drop_id, *snapshots)
    for word in asked.split():
        rows = rows.filter(pc.match_substring(rows["text"], word.lower()))
    statuses = {found["values"]: found["counts"] for found in pc.value_counts(rows["status"]).to_pylist()}
    if status is not None:
        rows = rows.filter(pc.equal(rows["status"], status))
    shown = rows.slice((page - 1) * ROWS, ROWS).drop_columns(["text"]).to_pylist()
    return Listed(asked, status, page, len(rows), statuses, tuple(Product(**row) for row in shown))


def render_overview(links: Links, page: int = 1) -> str:
    """Return the page of all drops as HTML."""
    drops = overview()
    last = max(1, -(-len(drops) // ROWS))
    return render(
        "drops.html",
        title="Drops",
        active="drops",
        links=links,
        drops=drops[(page - 1) * ROWS : page * ROWS],
        number_of_drops=len(drops),
        page=page,
        pages=last,
        totals=_totals(drops),
    )


def render_detail(links: Links, drop_id: str, asked: str = "", status: str | None = None, page: int = 1) -> str:
    """Return the page of a drop as HTML; the rest chooses which products it lists.

    Raises:
        PageNotFoundError: there is no such drop.
    """
    found = detail(drop_id)
    return render(
        "drop.html",
        title=f"Drop {drop_id}",
        active="drops",
        links=links,
        crumbs=(Crumb("Drops", links.page("drops")), Crumb(drop_id)),
        detail=found,
        drop=found.drop,
        listed=listed(drop_id, asked, status, page),
        statuses=(*_STATUSES, _NONE),
    )


def render_impact(links: Links, drop_id: str) -> str:
    """Return the page of what depends on a drop as HTML; at 44,000 products it takes a second or two to work out.

    Raises:
        PageNotFoundError: there is no such drop.
    """
    crumbs = (Crumb("Drops", links.page("drops")), Crumb(drop_id, links.page("drops", drop_id)))
    return render_dependents("drop", drop_id, of_drop(drop_id), links, crumbs)


def of_drop(drop_id: str) -> Impact:
    """Return what a drop went into.

    Raises:
        PageNotFoundError: there is no such drop.
    """
    try:
        return impact.of_drop(drop_id)
    except PermanentError as unknown:
        raise PageNotFoundError(str(unknown)) from unknown


def render_dependents(subject: str, name: str, found: Impact, links: Links, crumbs: Sequence[Crumb]) -> str:
    """Return the page of what depends on a thing as HTML, with the command that marks its descriptions stale.

    Args:
        subject: ``drop``, ``model`` or ``picture``, as the command line calls it.
        name: of the thing; of a picture, its product's id.
        found: all that it went into.
        links: where links lead.
        crumbs: the way to the thing's own page.
    """
    steps = graph.numbered(found.root)
    drawn = sum(1 for _ in steps.walk()) <= _DRAWN
    return render(
        "impact.html",
        title=f"What depends on {subject} {name}",
        active=_SECTION_OF[subject],
        links=links,
        crumbs=(*crumbs, Crumb("What depends on it")),
        subject=subject,
        name=name,
        impact=found,
        steps=steps,
        drawing=graph.draw(steps, forward=True) if drawn else None,
        box=(graph.WIDTH, graph.HEIGHT),
    )


def _by_drop(entries: Iterable[Any]) -> dict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for entry in entries:
        found[entry.drop_id].append(entry)
    return found


def _described(texts: Sequence[Texts]) -> Described:
    counted: Counter[str] = Counter()
    for one in texts:
        counted[one.status] += one.number
    judged = [one for one in texts if one.status != "failed"]
    return Described(
        statuses={status: counted[status] for status in _STATUSES},
        judged=sum(one.number for one in judged),
        faithful=sum(one.number for one in judged if _was_faithful(one)),
        text_models=_names(one.text_model_id for one in texts),
        prompts=_names(one.prompt_version for one in texts),
        attribute_models=_names(one.attribute_model_version for one in texts),
        input_tokens=sum(one.input_tokens for one in texts),
        cached_tokens=sum(one.cached_tokens for one in texts),
        output_tokens=sum(one.output_tokens for one in texts),
        usd=sum(one.usd for one in texts),
        unpriced=sum(one.unpriced for one in texts),
    )


def _was_faithful(one: Texts) -> bool:
    """Tell whether texts passed the check by themselves: a person may have published or withdrawn them since."""
    if one.review in ("published", "overruled", "returned", "kept"):
        return False
    return one.status != "withheld" or one.review == "withdrawn"


def _names(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in found if name}))


def _last(runs: Sequence[Run], dag_ids: Sequence[str]) -> Run | None:
    """Return the last run of some DAGs that published; if none did, the last one."""
    found = [run for run in runs if run.dag_id in dag_ids]
    return next((run for run in reversed(found) if run.published), found[-1] if found else None)


def _totals(drops: Sequence[Drop]) -> Mapping[str, float]:
    counted: Counter[str] = Counter()
    for drop in drops:
        counted.update(drop.described.statuses)
    return {
        "products": sum(drop.products for drop in drops),
        "quarantined": sum(drop.quarantined for drop in drops),
        "findings": sum(drop.findings for drop in drops),
        "usd": sum(drop.described.usd for drop in drops),
        **counted,
    }


def _validation(drop_id: str) -> Validation | None:
    """Return what the drop's newest validation wrote, whether it let the drop pass or refused it."""
    written = storage.list_dated(f"s3://{get_settings().bucket}/staging/{drop_id}/")
    verdicts = [(at, stored.uri) for stored, at in written if stored.uri.endswith("/validation.json")]
    if not verdicts:
        return None
    at, uri = max(verdicts)
    said = storage.read_json(uri)
    return Validation(
        suite=said["suite"],
        rows=said["rows"],
        rejected=len(said["rejected"]),
        refused=tuple(said["refused"]),
        warnings=said["warnings"],
        drift=said.get("drift"),
        at=at,
    )


def _whys(drop: Drop) -> tuple[tuple[str, int], ...]:
    if not drop.described.statuses["withheld"] + drop.described.statuses["failed"]:
        return ()
    unpublished = And(tables.equals("drop_id", drop.drop_id), tables.one_of("status", ("withheld", "failed")))
    rows = tables.read("descriptions.descriptions", unpublished, ("reasons",))
    counted = pc.value_counts(pc.list_flatten(rows["reasons"])).to_pylist()
    return tuple(Counter({one["values"]: one["counts"] for one in counted}).most_common(_REASONS))


@lru_cache(maxsize=_LISTED)
def _products(drop_id: str, products_snapshot: str, texts_snapshot: str) -> pa.Table:
    """Return id, name, article type and description's status of a drop's products, with ``text`` to search in."""
    of_drop = tables.equals("drop_id", drop_id)
    columns = ("product_id", "display_name", "article_type")
    rows = tables.read("catalog.products", of_drop, columns, products_snapshot)
    texts = tables.read("descriptions.descriptions", of_drop, ("product_id", "status"), texts_snapshot)
    rows = rows.rename_columns({"display_name": "name"}).sort_by("product_id")
    described = pc.index_in(rows["product_id"], texts["product_id"].cast(rows["product_id"].type))
    status = pc.fill_null(texts["status"].cast(pa.string()).combine_chunks().take(described), _NONE)
    words = [pc.fill_null(rows[name], "") for name in ("product_id", "name", "article_type")]
    text = pc.utf8_lower(pc.binary_join_element_wise(*words, " "))
    return rows.append_column("status", status).append_column("text", text)
