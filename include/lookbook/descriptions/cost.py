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
    """Return ``prices.toml``: source, date, and per model USD per million tokens ``input`` and ``output``."""
    return tomllib.loads((files(__package__) / "prices.toml").read_text())


def cost_usd(model_id: str, input_tokens: int, output_tokens: int) -> float | None:
    """Return the list price of a call, or ``None``, saying so once, for a model that the price list doesn't have."""
    price = _price(model_id)
    if price is None:
        return None
    return round((input_tokens * price["input"] + output_tokens * price["output"]) / 1e6, 8)


@lru_cache(maxsize=32)
def _price(model_id: str) -> dict[str, float] | None:
    price: dict[str, float] | None = price_list()["models"].get(model_id)
    if price is None:
        log.warning("prices.toml has no price of %s: costs stay empty. Add it, with source and date.", model_id)
    return price
