"""What calls to a text model cost at list price."""

from __future__ import annotations

import logging
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Any

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def price_list() -> dict[str, Any]:
    """Return ``prices.toml``: source, date, and per model USD per million tokens."""
    return tomllib.loads((files(__package__) / "prices.toml").read_text())


def has_price(model_id: str) -> bool:
    """Return whether the price list has the model; if not, what it is asked costs nobody knows how much."""
    return _price(model_id) is not None


def caches_prompts(model_id: str) -> bool:
    """Return whether the price list says that the model keeps prompts in a cache; others refuse to be told to."""
    return "cache_read" in (_price(model_id) or {})


def cost_usd(
    model_id: str,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    cache_written_tokens: int = 0,
    *,
    batch: bool = False,
) -> float | None:
    """Return the list price of a call, or ``None``, saying so once, for a model that the price list doesn't have.

    Args:
        model_id: the model that wrote.
        input_tokens: all of the prompt's, whether they came from the model's cache of prompts or not.
        output_tokens: those written.
        cached_tokens: of ``input_tokens``, those read from the cache.
        cache_written_tokens: of ``input_tokens``, those written into it. A model without prices for the cache reads and
            writes it at the price of input.
        batch: whether a batch job asked.
    """
    price = _price(model_id)
    if price is None:
        return None
    plain = input_tokens - cached_tokens - cache_written_tokens
    usd = (
        plain * price["input"]
        + cached_tokens * price.get("cache_read", price["input"])
        + cache_written_tokens * price.get("cache_write", price["input"])
        + output_tokens * price["output"]
    ) / 1e6
    return round(usd * (price_list()["batch_share"] if batch else 1), 8)


@lru_cache(maxsize=32)
def _price(model_id: str) -> dict[str, float] | None:
    price: dict[str, float] | None = price_list()["models"].get(model_id)
    if price is None:
        log.warning("prices.toml has no price of %s: costs stay empty. Add it, with source and date.", model_id)
    return price
