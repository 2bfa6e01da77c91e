"""What a run and a month may cost.

A run over its budget waits for a person. Nobody can wave a month's budget through: what would go over it is refused
before it is started, and a task that finds it used up, by whomever, asks no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lookbook.descriptions import routes, spending
from lookbook.descriptions.cost import has_price, price_list
from lookbook.descriptions.plans import ShardPlan
from lookbook.errors import PermanentError
from lookbook.lineage import records
from lookbook.settings import Settings, get_settings

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_UNENTERED = 0.001  # of the month's budget: what a task may have paid for without the others knowing of it


@dataclass(frozen=True)
class Judgement:
    """A plan and what it is expected to take, and whether a person must agree to it; ``body`` is Markdown."""

    plan: Mapping[str, Any]
    estimate: Mapping[str, Any]
    needs_approval: bool
    month_usd: float | None
    body: str

    def reference(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def judge(planned: ShardPlan) -> Judgement:
    """Hold a run's estimate against the budgets.

    Raises:
        PermanentError: the month's budget would be exceeded, or there is a budget and a model without list price.
    """
    settings, expected = get_settings(), planned.estimate or {}
    usd, spent = expected["usd"] or 0.0, _spent(settings)
    if expected["products"]:
        _check_prices(settings)
        _check_month(spent, usd, settings)
    over = settings.run_budget_usd is not None and usd > settings.run_budget_usd
    body = _body(planned, spent, settings)
    records.details(estimate=_sentence(planned), needs_approval=str(over))
    log.info("%s", body)
    return Judgement(planned.summary(), expected, over, spent, body)


@contextlib.contextmanager
def within_month() -> Iterator[None]:
    """Begin only if the month's budget is not used up, and enter what is paid for inside into the ledger.

    Raises:
        PermanentError: it is used up.
    """
    settings = get_settings()
    _check_month(_spent(settings), 0.0, settings)
    with spending.entered():
        yield


@dataclass
class Watch:
    """A look-out for the month's budget; ``over`` is the error that ended it, if one did."""

    over: Exception | None = None


@contextlib.asynccontextmanager
async def watched(stop: Callable[[], None]) -> AsyncIterator[Watch]:
    """Look every few seconds whether the month's budget is used up, by whomever; what this task pays, others see.

    Args:
        stop: is called when it is used up, or nobody can tell: what asks inside should ask no more.
    """
    watch, ended = Watch(), asyncio.Event()
    if get_settings().month_budget_usd is None:
        yield watch
        return
    looking = asyncio.create_task(_look_out(watch, ended, stop))
    try:
        yield watch
    finally:
        ended.set()
        await asyncio.wait([looking])  # never in the middle of an entry


async def _look_out(watch: Watch, ended: asyncio.Event, stop: Callable[[], None]) -> None:
    while watch.over is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _LOOK_EVERY_S)
            return
        try:
            await asyncio.to_thread(_look)
        except Exception as error:  # whatever it is: what can't be counted isn't spent
            watch.over = error
            stop()


def _look() -> None:
    settings = get_settings()
    spending.enter((settings.month_budget_usd or 0.0) * _UNENTERED)
    _check_month(_spent(settings), 0.0, settings)


def _check_prices(settings: Settings) -> None:
    if settings.run_budget_usd is None and settings.month_budget_usd is None:
        return
    for model_id in _models(settings):
        if not has_price(model_id):
            raise PermanentError(
                f"{model_id} has no list price in include/lookbook/descriptions/prices.toml, so no budget can be kept. "
                "Add its price, with source and date, or unset LOOKBOOK_RUN_BUDGET_USD and LOOKBOOK_MONTH_BUDGET_USD."
            )


def _models(settings: Settings) -> list[str]:
    judging = [settings.judge_model_id] if settings.judge_model_id else []
    return [*(target.model_id for target in routes.targets(settings.text_model_id)), *judging]


def _spent(settings: Settings) -> float | None:
    """Return what the month has cost so far, ``None`` where there is no limit to it."""
    return None if settings.month_budget_usd is None else spending.month_usd()


def _check_month(spent: float | None, usd: float, settings: Settings) -> None:
    limit = settings.month_budget_usd
    if limit is None or spent is None or (spent < limit and spent + usd <= limit):
        return
    more = f", {usd:.2f} USD more are estimated" if usd else ""
    raise PermanentError(
        f"The month's budget for texts, LOOKBOOK_MONTH_BUDGET_USD={limit:.2f}, does not allow this: {spent:.2f} USD "
        f"are spent{more}. Raise it, describe fewer products (Product ids), or clear this "
        "task next month (UTC); what is finished costs nothing again."
    )


def _sentence(planned: ShardPlan) -> str:
    expected = planned.estimate or {}
    price = "no list price" if expected["usd"] is None else f"{expected['usd']:.2f} USD"
    return (
        f"{expected['products']} products ({planned.mode}), about {expected['calls']} calls, "
        f"{expected['input_tokens']} tokens in, {expected['output_tokens']} out: {price}"
    )


def _body(planned: ShardPlan, spent: float | None, settings: Settings) -> str:
    """Return what people are shown before the run spends anything."""
    expected = planned.estimate or {}
    free = f"; {expected['stored']} more are finished and only published" if expected["stored"] else ""
    lines = [
        f"**{expected['products']:,} products of drop {planned.drop_id} to describe**, {len(planned.unchanged):,} "
        f"unchanged{free}. Mode `{planned.mode}`, {len(planned.shards):,} tasks.",
        "",
        "| expected | |",
        "|---|---|",
        f"| calls to `{expected['text_model_id']}` | {expected['calls']:,} |",
        f"| tokens in | {expected['input_tokens']:,} ({expected['cached_tokens']:,} from the cache) |",
        f"| tokens out | {expected['output_tokens']:,} |",
        f"| list price | {_priced(expected['usd'])} |",
        f"| time | {_timed(expected)} |",
        f"| known from | {_learned(expected)} |",
    ]
    if settings.run_budget_usd is not None:
        lines.append(f"| a run's budget | {settings.run_budget_usd:.2f} USD |")
    if spent is not None:
        lines.append(f"| this month | {spent:.2f} of {settings.month_budget_usd:.2f} USD spent |")
    return "\n".join(lines)


def _priced(usd: float | None) -> str:
    dated = price_list()["date"]
    return f"none in the list of {dated}" if usd is None else f"{usd:.2f} USD (list of {dated})"


def _timed(expected: Mapping[str, Any]) -> str:
    if expected["seconds"] is None:
        return f"up to a day: {expected['bound_by']}"
    return f"at least {expected['seconds'] / 60:.1f} min: {expected['bound_by']}"


def _learned(expected: Mapping[str, Any]) -> str:
    if expected["learned_from"]:
        return f"the mean of {expected['learned_from']:,} products with this prompt and model"
    return "the characters of the requests: no product has a text with this prompt and model yet"
