"""AddTags, ListTags and DeleteTags, for every kind of resource."""

from __future__ import annotations

from local_aws.errors import validation
from local_aws.sagemaker import names
from local_aws.state import Document, Store

_KIND = "tags"


class Tags:
    """Tags by resource ARN."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, arn: str, tags: list[Document]) -> list[Document]:
        """Add tags to a resource, or give its tags new values; return all it then has."""
        with self._store.transaction():
            merged = {**self._of(arn), **{tag["Key"]: tag["Value"] for tag in tags}}
            if len(merged) > 50:
                raise validation(f"{arn} would have {len(merged)} tags; a resource may have 50.")
            self._store.put(_KIND, arn, merged)
        return _listed(merged)

    def forget(self, arn: str) -> None:
        """Drop the tags of a resource that is deleted."""
        self._store.delete(_KIND, arn)

    def add(self, request: Document) -> Document:
        """AddTags."""
        return {"Tags": self.set(self._existing(request), request["Tags"])}

    def list(self, request: Document) -> Document:
        """ListTags; a resource has at most 50, so they are one page."""
        return {"Tags": _listed(self._of(self._existing(request)))}

    def remove(self, request: Document) -> Document:
        """DeleteTags."""
        arn = self._existing(request)
        with self._store.transaction():
            left = {key: value for key, value in self._of(arn).items() if key not in request["TagKeys"]}
            self._store.put(_KIND, arn, left)
        return {}

    def _of(self, arn: str) -> Document:
        return self._store.get(_KIND, arn) or {}

    def _existing(self, request: Document) -> str:
        arn: str = request["ResourceArn"]
        kind, name = names.parse_arn(arn)
        if self._store.get(kind, name) is None:
            raise validation(f"Could not find resource {arn}.")
        return arn


def _listed(tags: Document) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
