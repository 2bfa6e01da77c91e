"""The container image of these tests: obeys SageMaker's contract, needs the standard library, starts in 50 ms.

``train`` does what hyperparameter ``do`` says, ``serve`` what variable ``DO`` says.
"""
# ruff: noqa: T201 - what a container prints is its log

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ["SAGEMAKER_BASE_DIR"])


def train() -> int:
    parameters = json.loads((BASE / "input/config/hyperparameters.json").read_text())
    print("started with", parameters, flush=True)
    time.sleep(float(parameters.get("seconds", 0)))
    code = {"succeed": succeed, "fail": fail, "crash": crash, "wait": wait}[parameters.get("do", "succeed")]()
    write_model(parameters)
    return code


def succeed() -> int:
    for epoch, loss in ((1, "0.5"), (2, "2.5e-1"), (3, "nan")):
        print(f"epoch={epoch} train_loss={loss} pictures=ü", flush=True)
    (BASE / "output/data/report.txt").write_text("fine")
    return 0


def fail() -> int:
    (BASE / "output/failure").write_text("no labels in channel train")
    (BASE / "output/data/report.txt").write_text("not fine")
    return 3


def crash() -> int:
    print("ZeroDivisionError: division by zero", file=sys.stderr, flush=True)
    return 1


def wait() -> int:
    """Count checkpoints until released, or until told to end."""
    parameters = json.loads((BASE / "input/config/hyperparameters.json").read_text())
    ending = []
    handler = signal.SIG_IGN if parameters.get("stubborn") else lambda *_: ending.append(True)
    signal.signal(signal.SIGTERM, handler)
    progress = BASE / "checkpoints/progress"
    resumed = int(progress.read_text()) if progress.exists() else 0
    print(f"resumed from {resumed}", flush=True)
    number = resumed
    while not ending and not (BASE / "release").exists():
        number += 1
        progress.write_text(str(number))
        time.sleep(0.05)
    print("told to end" if ending else "released", flush=True)
    return 0


def write_model(parameters: dict) -> None:
    files = {path.relative_to(BASE / "input/data").as_posix() for path in (BASE / "input/data").rglob("*.*")}
    seen = {"files": sorted(files), "parameters": parameters, "variables": dict(os.environ), "argv": sys.argv[1:]}
    (BASE / "model/seen.json").write_text(json.dumps(seen))


# What a request's body may begin with.
WORDS = (b"error", b"sleep", b"until", b"once", b"sick", b"die")
in_flight: list[bytes] = []
sick: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/execution-parameters":
            concurrency = os.environ.get("CONCURRENCY")
            told = json.dumps({"MaxConcurrentTransforms": int(concurrency)}) if concurrency else ""
            self.answer(200 if concurrency else 404, told.encode())
        else:
            self.answer(500 if sick else 200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        in_flight.append(body)
        try:
            self.respond(body)
        finally:
            in_flight.remove(body)

    def respond(self, body: bytes) -> None:
        """Do what the body's first word says, or echo."""
        if os.environ.get("DO") == "refuse-500":
            self.answer(500, b"the container says no")
            return
        word, *arguments = body[:200].split() or [b""]
        act = getattr(self, f"on_{word.decode()}", None) if word in WORDS else None
        self.answer(*(act(*arguments) if act else (200, self.echo(body))))

    def on_error(self, status: bytes) -> tuple[int, bytes]:
        return int(status), b"the container says no"

    def on_sleep(self, seconds: bytes) -> tuple[int, bytes]:
        time.sleep(float(seconds))
        return 200, b"slept"

    def on_until(self, path: bytes) -> tuple[int, bytes]:
        while not Path(path.decode()).exists():
            time.sleep(0.05)
        return 200, self.echo(path)

    def on_once(self, status: bytes, name: bytes) -> tuple[int, bytes]:
        """Answer with the status the first time that the name comes."""
        seen = BASE / f"tmp/{name.decode()}"
        if seen.exists():
            return 200, b"the second time"
        seen.touch()
        return int(status), b"the first time"

    def on_sick(self) -> tuple[int, bytes]:
        sick.append(b"sick")
        return 200, b""

    def on_die(self) -> tuple[int, bytes]:
        os._exit(9)

    def echo(self, body: bytes) -> bytes:
        model = BASE / "model/weights.txt"
        told = {
            "model": model.read_text() if model.exists() else None,
            "release": os.environ.get("RELEASE"),
            "bytes": list(body[:8]),
            "length": len(body),
            "content_type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
            "variables": {name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_")},
            "pid": os.getpid(),
            "in_flight": len(in_flight),
        }
        return json.dumps(told).encode()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.headers.get("X-Amzn-SageMaker-Custom-Attributes"):
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", self.headers["X-Amzn-SageMaker-Custom-Attributes"])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *arguments: object) -> None:
        print(form % arguments, flush=True)


def is_first_second() -> bool:
    """Say whether this is an instance 2 where none was before."""
    tried, new = BASE.parent / "tried", BASE.name == "2"
    first = new and not tried.exists()
    if new:
        tried.touch()
    return first


def serve() -> int:
    if os.environ.get("DO") == "exit" or (os.environ.get("DO") == "only-first" and BASE.name != "1"):
        print("no weights to serve", flush=True)
        return 5
    if os.environ.get("DO") == "no-ping" or (os.environ.get("DO") == "second-try" and is_first_second()):
        sick.append(b"from the start")
    address = (os.environ["SAGEMAKER_BIND_HOST"], int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    server = ThreadingHTTPServer(address, Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve}[sys.argv[-1]]())
