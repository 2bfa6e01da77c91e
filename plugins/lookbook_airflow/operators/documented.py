"""What every operator of ours has: documentation on its tasks."""

from __future__ import annotations

from typing import Any

from airflow.sdk.bases.operator import BaseOperatorMeta


class Documented:
    """Shows the first line of the operator's docstring on its tasks, unless they bring a ``doc_md`` of their own."""

    # A mixin's __init__ isn't wrapped by the operators' metaclass, which the operator then expects it to be.
    @BaseOperatorMeta._apply_defaults
    def __init__(self, **kwargs: Any) -> None:
        first_line = (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(**({"doc_md": first_line} | kwargs))
