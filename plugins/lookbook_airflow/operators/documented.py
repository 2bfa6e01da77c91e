"""What every operator of ours has: documentation on its tasks."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk.bases.operator import BaseOperatorMeta

from lookbook_airflow.clearing import ATTACHES, documented


class Documented:
    """Shows the first line of the operator's docstring on its tasks, unless they bring a ``doc_md`` of their own.

    Either is followed by whether the task may be cleared.
    """

    clear: ClassVar[str] = ATTACHES

    # A mixin's __init__ isn't wrapped by the operators' metaclass, which the operator then expects it to be.
    @BaseOperatorMeta._apply_defaults
    def __init__(self, **kwargs: Any) -> None:
        does = kwargs.get("doc_md") or (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(**(kwargs | {"doc_md": documented(does, self.clear)}))
