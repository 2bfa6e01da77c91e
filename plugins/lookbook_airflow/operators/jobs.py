"""What the operators of jobs share: one paid job, however often its task is retried, cleared or killed.

A job's name is a function of what it works on. So a task that runs again finds the job that it, or another run,
started. The stock operators start a second one, wait for so many polls and have no ``on_kill``
(docs/decisions/0001-operators-over-the-stock-ones.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from botocore.exceptions import ClientError

from lookbook.settings import get_settings
from lookbook_airflow.lineage import traced
from lookbook_airflow.operators.documented import Documented

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lookbook.errors import PermanentError, RetryableError
    from lookbook_airflow.training_jobs import JobWatch
    from lookbook_airflow.triggers import JobTrigger

Job = dict[str, Any]

_JOB_NAME_LIMIT = 63


class JobOperator(Documented):
    """Find or create a job and wait for its end, in the triggerer or in the worker; a mixin of AWS operators.

    The operator beside it brings ``config`` (the request, templated), ``hook``, ``deferrable`` and the connection.
    """

    name_key: ClassVar[str]
    """Where the request and AWS's description of a job hold its name."""

    running: ClassVar[tuple[str, ...]] = ("InProgress", "Stopping")
    """The states that a job leaves by itself."""

    trigger: ClassVar[type[JobTrigger]]

    if TYPE_CHECKING:
        config: dict[str, Any]
        deferrable: bool
        hook: Any
        log: Any
        aws_conn_id: str | None
        region_name: str | None
        verify: bool | str | None
        defer: Any

    def execute(self, context: Context) -> Any:
        """Find or create the job, then wait for it and return what it left."""
        self.prepare()
        job = self._find_or_create()
        self.config[self.name_key] = job[self.name_key]
        if self.status(job) in self.running:
            if self.deferrable:
                self._defer(job)
            self._wait(job)
            job = self.describe(self.key(job))
        return self._finish(context, job)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Return what the job left, or fail as it did."""
        job = self.describe((event or {})["job_name"])
        self.config[self.name_key] = job[self.name_key]
        return self._finish(context, job)

    def on_kill(self) -> None:
        """Stop the job when the task is killed: nobody would read what it goes on to pay for."""
        job = self.find(self.config[self.name_key])
        if job and self.status(job) in self.running and self.status(job) != "Stopping":
            self._watch(job).stop()

    def prepare(self) -> None:
        """Make the request fit to be sent."""

    def find(self, name: str) -> Job | None:
        """Return the job of that name as AWS describes it, or ``None``."""
        raise NotImplementedError

    def create(self, name: str) -> Job:
        """Create a job of that name, which need not be the request's, and return it as AWS describes it."""
        raise NotImplementedError

    def describe(self, key: str) -> Job:
        """Return the job of a key as AWS describes it."""
        raise NotImplementedError

    def key(self, job: Job) -> str:
        """Return what AWS tells the job apart from all others by."""
        return str(job[self.name_key])

    def status(self, job: Job) -> str:
        """Return the state of a job."""
        raise NotImplementedError

    def is_useful(self, job: Job) -> bool:
        """Tell whether to go on with a job: it runs, or there is something in what it left."""
        raise NotImplementedError

    def failure(self, job: Job) -> PermanentError | RetryableError:
        """Return the error that a job which isn't useful ends the task with."""
        raise NotImplementedError

    def left(self, job: Job) -> Any:
        """Report what a useful job read and left, for lineage, and return its reference."""
        raise NotImplementedError

    def longest(self) -> timedelta:
        """Return how long a job may take."""
        raise NotImplementedError

    def _find_or_create(self) -> Job:
        for name in job_names(self.config[self.name_key]):
            job = self.find(name)
            if job is None:
                self.log.info("Creating job %s.", name)
                return self.create(name)
            if self.is_useful(job):
                self.log.info("Found job %s, which is %s: going on with it.", name, self.status(job))
                return job
        raise AssertionError("names never end")

    def _defer(self, job: Job) -> NoReturn:
        self.defer(
            timeout=self.longest(),
            trigger=self.trigger(self.key(job), get_settings().poll_interval_s, self._connection()),
            method_name="execute_complete",
        )
        raise AssertionError("defer() raises")

    def _wait(self, job: Job) -> None:
        watch = self._watch(job)
        while watch.look():
            time.sleep(get_settings().poll_interval_s)

    def _watch(self, job: Job) -> JobWatch:
        return self.trigger.watch.connected(self.key(job), self._connection(), self.log)

    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}

    def _finish(self, context: Context, job: Job) -> Any:
        if not self.is_useful(job):
            raise self.failure(job)
        with traced(context):
            return self.left(job)


def found(describe: Callable[[], Job]) -> Job | None:
    """Return what SageMaker describes, or ``None`` where it knows nothing of the name."""
    try:
        return describe()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            return None
        raise


def job_names(base: str) -> Iterator[str]:
    """Yield the names of a job: ``base``, and what follows it when the job of the name before came to nothing."""
    yield base
    for number in count(2):
        suffix = f"-{number}"
        yield base[: _JOB_NAME_LIMIT - len(suffix)] + suffix
