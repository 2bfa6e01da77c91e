"""What the page of every task says: what it does, and whether it may be cleared.

A task is a transaction, so nearly every one may. What makes it so differs, and is said by one of the sentences here;
a task that is an exception says when it may not.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from airflow.sdk import task

REPLACES = "Yes: what it leaves takes the place of what it left before."
HANDS_ON = "Yes: it only works out what others go by."
ATTACHES = "Yes: it goes on with what it started, and starts anew only what came to nothing."
PAYS_ONCE = "Yes: what is finished is found, and not paid for twice."
ASKS_AGAIN = "Yes: the question is asked again."
SAME_AGAIN = "Yes: done again, it changes nothing more."

_QUESTION = "**Safe to clear?**"


def documented(does: str | None, clear: str) -> str:
    """Return a task's ``doc_md``: what it does and, unless that says so already, whether it may be cleared."""
    does = does or ""
    return does if _QUESTION in does else f"{does}\n\n{_QUESTION} {clear}"


def parts(doc_md: str | None) -> tuple[str, str]:
    """Return what a task does and whether it may be cleared, each on one line."""
    does, _, clear = (doc_md or "").partition(_QUESTION)
    return " ".join(does.split()), " ".join(clear.split())


def plain_task(
    function: Callable[..., Any] | None = None, *, clear: str = HANDS_ON, declare: Any = task, **arguments: Any
) -> Any:
    """Declare a task like ``@task`` does, documented; it leaves no lineage record, since it touches no data.

    Args:
        function: what the task does; its docstring says what.
        clear: whether it may be cleared.
        declare: the decorator, e.g. ``task.sensor``.
        arguments: for the decorator.
    """
    if function is None:
        return functools.partial(plain_task, clear=clear, declare=declare, **arguments)
    return declare(doc_md=documented(inspect.getdoc(function), clear), **arguments)(function)
