"""A serving container for these tests: the image's HTTP contract on the standard library, and scripted faults.

What it does with a picture is written in the picture: ``refuse …`` gets a 400, ``fail …`` a 500, ``recover …`` a 503
the first time, ``garbage …`` a 200 that is no answer; any other gets an answer to each question.

The environment makes it a bad model: ``DEAF`` never answers a ping, ``DELAY_S`` is slow, ``SAYS`` answers otherwise,
``SEES`` sees other values than the rest (a JSON object by attribute).
"""

import base64
import json
import os
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What a picture without questions is asked: everything that the model was taught.
OWN_QUESTIONS = [
    "What is the fabric of the clothing in this picture?",
    "What is the colour of the clothing in this picture?",
    "What is the fit of the clothing in this picture?",
]
seen: Counter[bytes] = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(503 if "DEAF" in os.environ else 200, b"")

    def do_POST(self) -> None:
        request = self.request_of(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(float(os.environ.get("DELAY_S", "0")))
        picture = base64.b64decode(request["image"])
        seen[picture] += 1
        with Path(os.environ["CALLS_FILE"]).open("a") as calls:
            shown = {"picture": picture.decode(errors="replace")[:40], "pid": os.getpid()}
            calls.write(json.dumps({**request, "image": None, **shown}) + "\n")
        faults = {b"refuse": 400, b"fail": 500, b"recover": 503 if seen[picture] == 1 else 200}
        status = faults.get(picture.split(b" ")[0], 200)
        if status != 200:
            self.answer(status, json.dumps({"error": f"the container says {status}"}).encode())
        elif picture.startswith(b"garbage"):
            self.answer(200, b"<html>")
        else:
            # A liar says that it is another version than it was deployed as.
            version = os.environ.get("CLAIMED_VERSION", os.environ["LOOKBOOK_MODEL_VERSION"])
            self.answer(200, json.dumps(respond(request["questions"], version)).encode())

    def request_of(self, body: bytes) -> dict:
        if self.headers["Content-Type"] == "application/json":
            return json.loads(body)
        return {"image": base64.b64encode(body).decode(), "questions": OWN_QUESTIONS}

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def respond(questions: list[str], version: str) -> dict:
    """Answer each question; the one about a fit without being sure enough."""
    named = {
        "fabric": ("Fabric", "Cotton"),
        "colour": ("baseColour", "Red"),
        "neck": ("Fabric", "not a neck"),
        "fit": ("Fit", None),
    }
    said, seen_otherwise = os.environ.get("SAYS", "so"), json.loads(os.environ.get("SEES", "{}"))
    words = [question.split("the ")[1].split(" of")[0] for question in questions]
    answers = [
        {
            "question": question,
            "attribute": attribute,
            "value": seen_otherwise.get(attribute, value),
            "probability": 0.75,
            "text": said,
        }
        for question, (attribute, value) in zip(
            questions, (named.get(word, (None, None)) for word in words), strict=True
        )
    ]
    return {"answers": answers, "model_version": version}


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
