"""Evaluation reports for tests, and archives as an evaluation job leaves them."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import Any

from lookbook import storage

JOB = "s3://lookbook/training/jobs/lookbook-evaluate-1/"
ARCHIVE = f"{JOB}output/model.tar.gz"
PAGE = b"<!doctype html><title>Evaluation</title>"
GOLDEN = [
    {
        "name": "a.jpg",
        "picture": base64.b64encode(b"shirt").decode(),
        "attribute": "Fabric",
        "question": "What is the fabric of the clothing in this picture?",
        "answer": "Fabric: Cotton",
    }
]


def score(exact_match: float, attributes: tuple[str, ...] = ("Fabric",)) -> dict[str, Any]:
    """Return a model's score, the same for every attribute."""
    shares = {"exact_match": exact_match, "interval": [exact_match, exact_match]}
    shares |= {"balanced_accuracy": exact_match, "macro_f1": exact_match}
    return {
        **shares,
        "balanced_accuracy_interval": [exact_match, exact_match],
        "attributes": {name: {**shares, "pairs": 40} for name in attributes},
    }


def difference(lead: float, noise: float = 0.02, p_value: float = 0.0001) -> dict[str, Any]:
    """Return a difference with an interval of ``noise`` to either side."""
    interval = [max(lead - noise, -1), min(lead + noise, 1)]
    return {"difference": lead, "interval": interval, "p_value": p_value, "pairs": 40}


def report(
    challenger: float = 0.9,
    majority: float = 0.3,
    blind: float = 0.25,
    champion: float | None = None,
    attributes: tuple[str, ...] = ("Fabric",),
) -> dict[str, Any]:
    """Return a whole report in which every difference is far beyond noise."""
    shares = {"challenger": challenger, "majority": majority, "base": 0.0, "blind": blind}
    shares |= {} if champion is None else {"champion": champion}
    leads = {name: challenger - share for name, share in shares.items() if name != "challenger"}
    return {
        "format": 2,
        "job": "lookbook-evaluate-1",
        "benchmark": {"pairs": 40, "pictures": 40},
        "chance": {"confidence": 0.95, "resamples": 2000, "seed": 0},
        "models": {name: score(share, attributes) for name, share in shares.items()},
        "comparisons": {
            name: {**difference(lead), "attributes": {attribute: difference(lead) for attribute in attributes}}
            for name, lead in leads.items()
        },
        "code": {"training": "c0de", "evaluation": "c0de"},
        "calibration": {
            "target_precision": 0.9,
            "attributes": {attribute: {"threshold": 0.625} for attribute in attributes},
        },
    }


def tar(members: dict[str, bytes]) -> bytes:
    """Return a ``model.tar.gz`` with these files."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def store(content: dict[str, Any]) -> None:
    """Store report, page and golden questions at ARCHIVE as the job would."""
    texts = {"evaluation.json": json.dumps(content).encode(), "golden.json": json.dumps(GOLDEN).encode()}
    storage.write_bytes(ARCHIVE, tar({**texts, "evaluation.html": PAGE}))
