"""``python -m local_aws --port P --state DIR --images images.json``: run local AWS until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType

import uvicorn

from local_aws import images
from local_aws.gateway import Gateway
from local_aws.settings import REGION, Settings, from_environment

_LOG_BYTES = 5_000_000


class StartError(Exception):
    """Local AWS can't be started; the message says why and what to do."""


class Server(uvicorn.Server):
    """uvicorn, with jobs and endpoints begun once the address answers and ended while it still does."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        # boto3 keeps connections for longer than uvicorn's five seconds, and would find them closed.
        super().__init__(
            uvicorn.Config(
                gateway, log_config=None, access_log=False, timeout_keep_alive=75, timeout_graceful_shutdown=5
            )
        )
        self._gateway, self._settings = gateway, settings
        self._ending: threading.Thread | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen and take up what an earlier gateway left before the first request is answered."""
        await super().startup(sockets)
        self._gateway.start()
        _say_hello(self._settings)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End jobs and endpoints, whose last results still need the address, and then the server."""
        if self._ending is None:
            self._ending = threading.Thread(target=self._end, name="ending")
            self._ending.start()

    def _end(self) -> None:
        try:
            self._gateway.sagemaker.close()
        finally:
            self.should_exit = True


def main() -> int:
    """Run local AWS; return the exit status."""
    try:
        settings = from_environment(_arguments())
        found = images.load(settings.images)
        with _alone(settings.state), _listening(settings) as listener:
            _log_to(settings.state / "local-aws.log")
            server = Server(Gateway(settings, found), settings)
            signal.signal(signal.SIGHUP, server.handle_exit)
            asyncio.run(server.serve([listener]))
    except (StartError, images.ImagesError, ValueError) as error:
        print(f"local AWS: {error}", file=sys.stderr)  # noqa: T201 - the command's output
        return 2
    return 0


def _arguments() -> Settings:
    parser = argparse.ArgumentParser(prog="local_aws", description="SageMaker, Bedrock, S3 and more on this machine.")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--host", default="127.0.0.1", help="interface to listen on; nothing asks for a password")
    parser.add_argument("--state", type=Path, required=True, help="directory that everything is kept in")
    parser.add_argument("--images", type=Path, required=True, help="JSON file: which command stands for which image")
    given = parser.parse_args()
    return Settings(state=given.state.resolve(), images=given.images, port=given.port, host=given.host)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Hold the state directory: two gateways would write over each other."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(
                f"{state} is in use by another local AWS. Stop that one or give another --state."
            ) from error
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is; without it each answer takes 40 ms more.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise StartError(f"{where} can't be used: {error.strerror}. Give a free one with --port.") from error
        yield listener


def _log_to(path: Path) -> None:
    file = RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1)
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(handlers=[file], level=logging.WARNING, format=form)
    logging.getLogger("local_aws").setLevel(logging.INFO)


def _say_hello(settings: Settings) -> None:
    lines = (
        f"# Local AWS is ready; its log is {settings.state / 'local-aws.log'}. To use it from another shell:",
        f"export AWS_ENDPOINT_URL={settings.url}",
        "export AWS_ACCESS_KEY_ID=local",
        "export AWS_SECRET_ACCESS_KEY=local",
        f"export AWS_DEFAULT_REGION={REGION}",
    )
    print("\n".join(lines), flush=True)  # noqa: T201 - the command's output


if __name__ == "__main__":
    sys.exit(main())
