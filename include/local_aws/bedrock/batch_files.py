"""A batch job's files: its input found, checked and fetched, its output kept while it grows and put into S3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.bedrock.batch_records import Written
from local_aws.objects import Location, Objects, ObjectsError, relative_key

LEAST_RECORDS, MOST_RECORDS = 100, 50_000
MOST_BYTES = 1 << 30


class InputError(Exception):
    """The job's input can't be used; the message is the job's."""


class Line(NamedTuple):
    """A record that isn't answered yet: its file, its number there from 1 on, and its text."""

    file: str
    number: int
    text: bytes


class Files:
    """The files of one job, below a directory of its own.

    Args:
        objects: S3.
        directory: where input is fetched to and output kept.
        source: S3 URI of a file or of a folder with ``.jsonl`` files.
    """

    def __init__(self, objects: Objects, directory: Path, source: str) -> None:
        self._objects, self._source = objects, source
        self._in, self._out = directory / "in", directory / "out"

    def fetch(self) -> int:
        """Fetch the input and return how many records it has.

        Raises:
            InputError: AWS would refuse it.
        """
        try:
            found = self._find()
            for name, uri in found.items():
                self._objects.fetch(uri, self._in, name)
        except ObjectsError as error:
            raise InputError(str(error)) from error
        records = sum(1 for name in found for _ in _lines(self._in / name))
        check_count(records)
        return records

    def unanswered(self) -> Iterator[Line]:
        """Return the records that have no line of output yet, file by file."""
        for path in sorted(self._in.rglob("*.jsonl")):
            name = path.relative_to(self._in).as_posix()
            done = {written.number for written in self._answered(name)}
            numbered = enumerate(_lines(path), start=1)
            yield from (Line(name, number, text) for number, text in numbered if number not in done)

    def keep(self, file: str, written: list[Written]) -> None:
        """Keep lines of a file's output."""
        path = self._kept(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as kept:
            for one in written:
                own = json.dumps([one.number, one.succeeded, one.input_tokens, one.output_tokens]).encode()
                kept.write(own + b" " + one.line + b"\n")

    def counts(self) -> dict[str, int]:
        """Return what was answered so far, as the manifest has it."""
        counts = dict.fromkeys(("processed", "success", "error", "input", "output"), 0)
        for path in sorted(self._out.rglob("*.kept")):
            for written in self._answered(path.relative_to(self._out).as_posix().removesuffix(".kept")):
                count(counts, written)
        return counts

    def publish(self, uri: str, manifest: dict[str, Any]) -> None:
        """Put the output and the manifest below an S3 URI."""
        for path in sorted(self._out.rglob("*.kept")):
            name = path.relative_to(self._out).as_posix().removesuffix(".kept")
            output = path.with_suffix(".out")
            with output.open("wb") as file:
                file.writelines(written.line + b"\n" for written in self._answered(name))
            self._objects.upload(output, f"{uri}/{name}.out")
        self._objects.write(f"{uri}/manifest.json.out", json.dumps(manifest).encode())

    def _find(self) -> dict[str, str]:
        """Return the URIs of the input's files by the names they have here."""
        place = Location.parse(self._source)
        sizes = self._objects.sizes(self._source)
        if place.key in sizes:
            sizes = {place.key: sizes[place.key]}
        else:
            folder = place.key.rstrip("/") + "/" if place.key else ""
            sizes = {key: size for key, size in sizes.items() if key.startswith(folder) and key.endswith(".jsonl")}
        if not sizes:
            raise InputError(f"The input {self._source} has no file whose name ends with .jsonl.")
        for key, size in sizes.items():
            _check_file(key, size)
        prefix = place.key if place.key not in sizes else place.key.rpartition("/")[0]
        return {relative_key(key, prefix): f"s3://{place.bucket}/{key}" for key in sizes}

    def _kept(self, file: str) -> Path:
        return self._out / f"{file}.kept"

    def _answered(self, file: str) -> Iterator[Written]:
        """Return a file's answered records; a line that a kill cut off is none, and is taken away."""
        path = self._kept(file)
        if not path.exists():
            return
        with path.open("r+b") as kept:
            while line := kept.readline():
                if not line.endswith(b"\n"):
                    kept.seek(-len(line), 2)
                    kept.truncate()
                    return
                own, _, text = line.rstrip(b"\n").partition(b"] ")
                number, *told = json.loads(own + b"]")
                yield Written(number, text.lstrip(), *told)


def count(counts: dict[str, int], written: Written) -> None:
    """Count an answered record in."""
    counts["processed"] += 1
    counts["success" if written.succeeded else "error"] += 1
    counts["input"] += written.input_tokens
    counts["output"] += written.output_tokens


def check_count(records: int) -> None:
    """Refuse as many records as AWS refuses.

    Raises:
        InputError: too few or too many.
    """
    if records < LEAST_RECORDS:
        raise InputError(f"Batch job contains less records ({records}) than the required minimum of: {LEAST_RECORDS}")
    if records > MOST_RECORDS:
        raise InputError(f"Batch job contains more records ({records}) than the allowed maximum of: {MOST_RECORDS}")


def _check_file(key: str, size: int) -> None:
    if not key.endswith(".jsonl"):
        raise InputError(f"The input file {key} must be JSONL; its name ends with .jsonl")
    if size > MOST_BYTES:
        raise InputError(f"The input file {key} has {size} bytes; the allowed maximum is {MOST_BYTES}")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (line for line in file if line.strip())
