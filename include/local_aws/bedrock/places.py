"""Where a model is asked: what has a quota, and can be down, of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from local_aws.errors import AwsError
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


def check_access(place: Place, allowed: Sequence[str]) -> None:
    """Refuse a model that the account has no access to; it has to all if none is named.

    Raises:
        AwsError: AccessDeniedException.
    """
    if allowed and place.model not in allowed:
        told = "You don't have access to the model with the specified model ID."
        raise AwsError("AccessDeniedException", told, status=403)
