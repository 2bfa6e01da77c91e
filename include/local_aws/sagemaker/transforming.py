"""A transform job's objects on their way through its containers, and what became of each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx

from local_aws.logs import LogStream
from local_aws.objects import Objects, ObjectsError
from local_aws.sagemaker.replica import Replica
from local_aws.sagemaker.transform_input import Input
from local_aws.state import Document

CLIENT_ERROR, ALGORITHM_ERROR = "ClientError", "AlgorithmError"
_MB = 1 << 20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 30.0
_PARAMETERS_TIMEOUT_S = 5.0


class TransformError(Exception):
    """An object has no result; ``kind`` says whose fault AWS calls it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Progress:
    """What is done, a line an object in ``path``, and the job's data log in ``log``."""

    def __init__(self, path: Path, log: Path) -> None:
        self._path, self._log, self._offset = path, log, 0
        self._lock = threading.Lock()
        self._done = dict(_read(path))

    @property
    def failure(self) -> str | None:
        """The kind of error the job fails with, if any object has no result."""
        kinds = {kind for kind in self._done.values() if kind}
        return ALGORITHM_ERROR if ALGORITHM_ERROR in kinds else next(iter(kinds), None)

    def is_done(self, source: Input) -> bool:
        """Say whether an object has its result, or never will."""
        return source.key in self._done

    def done(self, source: Input, error: TransformError | None = None) -> None:
        """Write down what became of an object."""
        kind = error.kind if error else None
        with self._lock:
            self._done[source.key] = kind
            with self._path.open("a") as file:
                file.write(json.dumps({"key": source.key, "error": kind}) + "\n")
        if error:
            self.say("\n".join(f"{source.bucket}/{source.key}: {line}" for line in str(error).splitlines()))

    def say(self, text: str) -> None:
        """Write to the data log."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with self._lock, self._log.open("a") as file:
            file.writelines(f"{now}:[sagemaker logs]: {line}\n" for line in text.splitlines())

    def ship_log(self, client: Any, group: str, stream: str) -> None:
        """Send the data log's new lines to CloudWatch Logs."""
        source = LogStream(client, group, stream, self._log, self._offset)
        source.ship()
        self._offset = source.offset


class Exchange:
    """Sends a job's objects to its containers, as many at a time to each as the job allows."""

    def __init__(
        self, job: Document, replicas: list[Replica], objects: Objects, progress: Progress, default_payload_mb: int
    ) -> None:
        self._job, self._replicas, self._objects, self._progress = job, replicas, objects, progress
        self._largest = job.get("MaxPayloadInMB", default_payload_mb) * _MB
        client = job.get("ModelClientConfig", {})
        self._retries = client.get("InvocationsMaxRetries", 3)
        self._http = httpx.Client(timeout=client.get("InvocationsTimeoutInSeconds", 600), trust_env=False)
        self._ending = threading.Event()
        self._lock = threading.Lock()

    def run(self, sources: list[Input], goes_on: Callable[[], bool], end: Callable[[], None]) -> None:
        """Send what isn't done yet.

        Args:
            sources: all of the job's objects.
            goes_on: asked again and again, from this thread; nothing more is sent once it says no or raises.
            end: ends the containers, which may be at work on requests.
        """
        left = iter([source for source in sources if not self._progress.is_done(source)])
        concurrency = self._job.get("MaxConcurrentTransforms") or _preferred(self._http, self._replicas[0])
        self._progress.say(f"MaxConcurrentTransforms={concurrency}, MaxPayloadInMB={self._largest // _MB}")
        with ThreadPoolExecutor(len(self._replicas) * concurrency) as pool:
            workers = [pool.submit(self._work, replica, left) for _ in range(concurrency) for replica in self._replicas]
            try:
                while wait(workers, timeout=0).not_done and goes_on():
                    pass
            finally:
                self._ending.set()
                end()
        for worker in workers:
            worker.result()

    def close(self) -> None:
        """Close the connections to the containers."""
        self._http.close()

    def _work(self, replica: Replica, left: Iterator[Input]) -> None:
        while not self._ending.is_set():
            with self._lock:
                source = next(left, None)
            if source is None:
                return
            try:
                self._transform(replica, source)
            except TransformError as error:
                # An object without a result because the job ends early is the next run's.
                if not self._ending.is_set():
                    self._progress.done(source, error)

    def _transform(self, replica: Replica, source: Input) -> None:
        result = self._ask(replica, self._read(source))
        output = self._job["TransformOutput"]
        tail = b"\n" if output.get("AssembleWith") == "Line" else b""
        self._objects.write(f"{output['S3OutputPath'].rstrip('/')}/{source.name}.out", result + tail)
        self._progress.done(source)

    def _read(self, source: Input) -> bytes:
        try:
            body = self._objects.read(f"s3://{source.bucket}/{source.key}")
        except ObjectsError as error:
            raise TransformError(CLIENT_ERROR, str(error)) from error
        if self._largest and len(body) > self._largest:
            raise TransformError(
                CLIENT_ERROR, f"ClientError: the object has {len(body)} bytes, more than MaxPayloadInMB allows"
            )
        return body

    def _ask(self, replica: Replica, body: bytes) -> bytes:
        attempts = 0
        while True:
            try:
                response = self._http.post(f"{replica.url}/invocations", content=body, headers=self._headers())
                return response.raise_for_status().content
            except httpx.HTTPError as error:
                if attempts == self._retries or not _can_pass(error) or self._ending.wait(_pause(error, attempts)):
                    raise _told(error) from error
            attempts += 1

    def _headers(self) -> dict[str, str]:
        told = {
            "content-type": self._job["TransformInput"].get("ContentType"),
            "accept": self._job["TransformOutput"].get("Accept"),
        }
        return {name: value for name, value in told.items() if value}


def _can_pass(error: httpx.HTTPError) -> bool:
    return not isinstance(error, httpx.HTTPStatusError) or error.response.status_code in (429, *range(500, 600))


def _pause(error: httpx.HTTPError, attempts: int) -> float:
    """Return how long to wait before the next attempt: what the container asks for, or twice as long each time."""
    asked = error.response.headers.get("retry-after", "") if isinstance(error, httpx.HTTPStatusError) else ""
    return min(_LONGEST_WAIT_S, float(asked) if asked.isdigit() else _FIRST_WAIT_S * 2.0**attempts)


def _told(error: httpx.HTTPError) -> TransformError:
    if not isinstance(error, httpx.HTTPStatusError):
        return TransformError(ALGORITHM_ERROR, f"AlgorithmError: the container does not answer: {error!r}")
    status, text = error.response.status_code, error.response.text[:1000]
    if status < 500:
        return TransformError(CLIENT_ERROR, f"ClientError: {status}\n\nMessage:\n{text}")
    return TransformError(ALGORITHM_ERROR, f"Bad HTTP status received from algorithm: {status}\n\nMessage:\n{text}")


def _preferred(client: httpx.Client, replica: Replica) -> int:
    """Return how many requests at a time the container asks for by ``GET /execution-parameters``, which is optional."""
    try:
        answer = client.get(f"{replica.url}/execution-parameters", timeout=_PARAMETERS_TIMEOUT_S).raise_for_status()
        return max(1, int(answer.json()["MaxConcurrentTransforms"]))
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return 1


def _read(path: Path) -> Iterator[tuple[str, str | None]]:
    """Read what an earlier gateway wrote; a line that its end cut off is of an object that is sent again."""
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        yield entry["key"], entry["error"]
