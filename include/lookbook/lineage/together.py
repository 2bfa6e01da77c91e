"""Look-ups that don't need each other's answers, side by side: most of their time is waiting for S3 and SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# More than one question ever starts: a look-up may wait for another one, and must not wait for a thread meanwhile.
_THREADS = 24


class Together:
    """The threads of one question; each look-up sees the context (``ContextVar``) of whoever started it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lineage")

    def __enter__(self) -> Together:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)

    def start(self, look_up: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin a look-up; ``result()`` waits for it and raises what it raised."""
        return self._pool.submit(lambda context: context.run(look_up, *args, **kwargs), copy_context())
