"""Log files shipped to CloudWatch Logs, line by line, from where the last call stopped."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

# Below CloudWatch's limits of 10,000 events and 1 MiB a call.
_BATCH_LINES = 2_000
_BATCH_BYTES = 500_000
_LINE_LIMIT = 200_000


class LogStream:
    """One CloudWatch log stream fed from one file."""

    def __init__(self, client: Any, group: str, stream: str, path: Path, offset: int = 0) -> None:
        self._client, self._group, self._stream, self._path = client, group, stream, path
        self._created = False
        self.offset = offset

    def ship(self, *, last: bool = False) -> list[str]:
        """Send the lines completed since the last call, and with ``last`` also an unfinished one; return them."""
        sent: list[str] = []
        while lines := self._next_lines(last):
            texts = [line.decode(errors="replace").rstrip("\r\n") for line in lines]
            self._put(texts)
            self.offset += sum(map(len, lines))
            sent += texts
        return sent

    def _next_lines(self, last: bool) -> list[bytes]:
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self.offset)
            lines = file.readlines(_BATCH_BYTES)[:_BATCH_LINES]
        if lines and not lines[-1].endswith(b"\n") and not last:
            lines.pop()
        return lines

    def _put(self, texts: list[str]) -> None:
        now = int(time.time() * 1000)
        # CloudWatch refuses empty messages.
        events = [{"timestamp": now, "message": text[:_LINE_LIMIT]} for text in texts if text.strip()]
        if not events:
            return
        self._create()
        self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)

    def _create(self) -> None:
        if self._created:
            return
        already = contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException)
        with already:
            self._client.create_log_group(logGroupName=self._group)
        with already:
            self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        self._created = True


def last_line(path: Path) -> str:
    """Return the last non-empty line of a log file, or nothing."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8_192))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
