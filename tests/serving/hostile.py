"""An endpoint that misbehaves as told, spoken to over real sockets as SageMaker Runtime is.

What it does with a picture is written in the picture, like in ``container.py``: ``html``, ``slow``, ``reset``, ``cut``,
``refuse``, ``crash``, ``gone``, ``other version``; ``throttled 3`` is refused three times, ``full 3`` too, by the
container. Any other gets its answers.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.serving.container import respond

FAULTS = {"refuse": 400, "crash": 500, "gone": 0}


class HostileEndpoint:
    """Counts what it is asked; ``down`` requests, whatever they ask, find the connection closed."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: Counter[str] = Counter()
        self.down = 0
        self.most_at_once = 0
        self._at_once = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[HostileEndpoint]:
        """Listen until the block ends."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname())
        try:
            yield self
        finally:
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            reply = await self._reply(json.loads(await reader.readexactly(length)))
        except asyncio.IncompleteReadError:
            reply = None
        finally:
            self._at_once -= 1
        if reply is None:
            writer.transport.abort()
        else:
            writer.write(reply)
            writer.close()

    async def _reply(self, request: dict) -> bytes | None:
        picture = base64.b64decode(request["image"]).decode()
        self.asked[picture] += 1
        if self.down:
            self.down -= 1
            return None
        what, _, times = picture.partition(" ")
        if what in ("throttled", "full") and self.asked[picture] <= int(times):
            return throttled() if what == "throttled" else model_error(429)
        if what in FAULTS:
            return model_error(FAULTS[what])
        if what == "slow":
            await asyncio.sleep(60)
        answers = json.dumps(respond(request["questions"], "v9" if what == "other" else "v1")).encode()
        return {
            "reset": None,
            "html": response(200, b"<html>"),
            "cut": response(200, answers, missing=10),
        }.get(what, response(200, answers))


def throttled() -> bytes:
    headers = {"Retry-After": "0", "x-amzn-ErrorType": "ThrottlingException"}
    return response(400, b'{"message": "Rate exceeded"}', headers)


def model_error(status: int) -> bytes:
    body = {"Message": f"the container says {status}", "OriginalStatusCode": status, "OriginalMessage": f"{status}!"}
    return response(424, json.dumps(body).encode(), {"x-amzn-ErrorType": "ModelError"})


def response(status: int, body: bytes, headers: dict[str, str] | None = None, missing: int = 0) -> bytes:
    lines = {"Content-Length": str(len(body) + missing), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body
