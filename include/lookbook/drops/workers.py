"""Read a drop's chunks in processes of their own.

They are plain child processes that are fed through pipes: an Airflow task may run in a process that must not use
``multiprocessing``, and a child that reads its work from a pipe ends with its parent, however that ends.

A message is its kind (one byte), its length (four bytes) and its content: rows as JSON to the child, a table as Arrow
stream from it, or the text of a permanent error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any

import orjson
import pyarrow as pa

from lookbook import storage
from lookbook.drops.candidates import CandidateReader
from lookbook.drops.lines import Row
from lookbook.errors import PermanentError, RetryableError

_TABLE, _ERROR, _ROWS = b"T", b"E", b"R"
# Not by -m: this module is part of what its package imports, and would be there twice.
_CHILD = "from lookbook.drops import workers; workers.main()"


class ReadingProcesses:
    """Reads chunks of rows in ``processes`` children, which together have ``threads`` files in flight."""

    def __init__(self, manifest_uri: str, processes: int, threads: int) -> None:
        command = [sys.executable, "-c", _CHILD, manifest_uri, str(max(1, threads // processes))]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._children = [
            subprocess.Popen(  # noqa: S603 - this module, by this interpreter
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
            for _ in range(processes)
        ]

    def tables(self, chunks: Iterable[Sequence[Row]]) -> Iterator[pa.Table]:
        """Yield each chunk's candidates, in the order of the chunks; a child has one chunk at a time.

        Raises:
            PermanentError: a file is not the one that the manifest names.
            RetryableError: a child ended before its time.
        """
        try:
            yield from self._tables(iter(chunks))
        finally:
            self._end()

    def _tables(self, chunks: Iterator[Sequence[Row]]) -> Iterator[pa.Table]:
        busy: deque[subprocess.Popen[bytes]] = deque()
        for child, chunk in zip(self._children, chunks, strict=False):
            _hand(child, chunk)
            busy.append(child)
        while busy:
            child = busy.popleft()
            table = _result(child)
            if chunk := next(chunks, ()):
                _hand(child, chunk)
                busy.append(child)
            yield table

    def _end(self) -> None:
        for child in self._children:
            child.kill()
            # What was not handed over when reading broke off is of no use to a child that has ended.
            with suppress(BrokenPipeError):
                child.communicate()


def _hand(child: subprocess.Popen[bytes], rows: Sequence[Row]) -> None:
    try:
        _send(_pipe(child.stdin), _ROWS, orjson.dumps(rows))
    except BrokenPipeError as error:
        raise _ended(child) from error


def _result(child: subprocess.Popen[bytes]) -> pa.Table:
    kind, content = _receive(_pipe(child.stdout)) or (None, b"")
    if kind is None:
        raise _ended(child)
    if kind == _ERROR:
        raise PermanentError(content.decode())
    return pa.ipc.open_stream(content).read_all()


def _ended(child: subprocess.Popen[bytes]) -> RetryableError:
    return RetryableError(
        f"A process that read the drop ended with status {child.wait()}; the log above says why. If it was killed for "
        "its memory, lower LOOKBOOK_READ_PROCESSES or LOOKBOOK_READ_CONCURRENCY."
    )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("The child was started without pipes.")
    return stream


def _send(stream: IO[bytes], kind: bytes, content: bytes) -> None:
    stream.write(kind + len(content).to_bytes(4, "big") + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Return the next message's kind and content, or ``None`` when the other side has ended."""
    head = stream.read(5)
    length = int.from_bytes(head[1:], "big")
    content = stream.read(length)
    return (head[:1], content) if len(head) == 5 and len(content) == length else None


def main() -> None:
    """Be a child: read the rows that come in, until there are no more."""
    _serve(sys.argv[1], int(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)


def _serve(manifest_uri: str, threads: int, requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer each message of rows by their candidates, until there are no more or one cannot be read."""
    with CandidateReader(storage.read_json(manifest_uri), threads) as reader:
        while message := _receive(requests):
            rows = [_row(values) for values in orjson.loads(message[1])]
            try:
                _send(answers, _TABLE, _stream(reader.table(rows)))
            except PermanentError as error:
                _send(answers, _ERROR, str(error).encode())


def _row(values: dict[str, Any]) -> Row:
    return Row(**values | {"repairs": tuple(values["repairs"])})


def _stream(table: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, table.schema) as stream:
        stream.write_table(table)
    content: bytes = buffer.getvalue().to_pybytes()
    return content
