"""The List… operations: filters, order and pages are the same for every kind of resource."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_aws.errors import validation
from local_aws.state import Document

_DEFAULT_PAGE = 10
_BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "CreationTimeAfter": ("CreationTime", lambda value, bound: value > bound),
    "CreationTimeBefore": ("CreationTime", lambda value, bound: value < bound),
    "LastModifiedTimeAfter": ("LastModifiedTime", lambda value, bound: value > bound),
    "LastModifiedTimeBefore": ("LastModifiedTime", lambda value, bound: value < bound),
}


@dataclass(frozen=True)
class Listing:
    """How a kind of resource is listed: the response's member, the fields for name and status, AWS's default order."""

    member: str
    name: str
    status: str = ""
    descending: bool = False

    def answer(self, documents: list[Document], request: Document) -> Document:
        """Return the page of ``documents`` that a List… request asks for."""
        matching = sorted((item for item in documents if self._matches(item, request)), key=self._order(request))
        if request.get("SortOrder", "Descending" if self.descending else "Ascending") == "Descending":
            matching.reverse()
        start = read_token(request.get("NextToken"))
        end = start + int(request.get("MaxResults", _DEFAULT_PAGE))
        token = write_token(end) if end < len(matching) else None
        return {self.member: matching[start:end], "NextToken": token}

    def _matches(self, item: Document, request: Document) -> bool:
        if request.get("NameContains", "").lower() not in item[self.name].lower():
            return False
        if request.get("StatusEquals") not in (None, item.get(self.status)):
            return False
        bounds = ((request[key], *rule) for key, rule in _BOUNDS.items() if key in request)
        return all(holds(item[field], float(bound)) for bound, field, holds in bounds)

    def _order(self, request: Document) -> Callable[[Document], tuple[Any, ...]]:
        fields = {"Name": self.name, "Status": self.status, "CreationTime": "CreationTime"}
        by: str = request.get("SortBy", "CreationTime")
        first = fields.get(by, by)
        return lambda item: (item[first], item[self.name])


def write_token(position: int) -> str:
    """Return the token of the page that begins at a position."""
    return base64.urlsafe_b64encode(f"from:{position}".encode()).decode()


def read_token(token: str | None) -> int:
    """Return the position at which a token's page begins.

    Raises:
        AwsError: ValidationException: it is none of ours.
    """
    if token is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("from:"))
    except (binascii.Error, ValueError) as error:
        raise validation("Invalid NextToken: it is none that this operation returned.") from error
