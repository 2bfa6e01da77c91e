"""Where a model is asked: what has a quota, and can be down, of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from local_aws.settings import REGION

Setting = TypeVar("Setting")


class Place(NamedTuple):
    """A model in a region."""

    model: str
    region: str = REGION

    def __str__(self) -> str:
        """Return the model's id, with the region if it isn't the usual one."""
        return self.model if self.region == REGION else f"{self.model}@{self.region}"

    def find(self, settings: Mapping[str, Setting]) -> Setting | None:
        """Return what settings say of this place, of its region, of its model or, as ``*``, of all."""
        keys = (f"{self.model}@{self.region}", f"@{self.region}", self.model, "*")
        return next((settings[key] for key in keys if key in settings), None)
