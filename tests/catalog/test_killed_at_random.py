"""Kill the publishing of a drop at moments that nobody chose, run it again, and compare with an undisturbed run.

``pytest --kills 60 --timeout 1800`` kills more often than every run of the tests has time for.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lookbook import storage
from lookbook.catalog import publishing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE
from lookbook.settings import get_settings

StoreDrop = Callable[..., Any]  # the fixture of conftest.py
Found = dict[str, Any]

DROP, BESIDE = "2026-11-16", "2026-11-23"
TABLES = (PRODUCTS, QUARANTINE)
SEED = 20261116
# Publishes as often as it is told to, each time in a process of its own: what Python imports, it imports once.
PUBLISHER = """
import json, os, sys, traceback
import pyiceberg.catalog.sql, pyiceberg.io.pyarrow
from lookbook.catalog import ingests, publishing

for told in sys.stdin:
    environment, candidates, validation = json.loads(told)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.environ.update(environment)
            published = publishing.publish(publishing.stage(candidates, validation))
            ingests.record_difference(published, validation)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Publisher:
    """Publishes drops in processes that can be killed, one at a time."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._server = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is buffered, select would not know of
            env=environment,
        )
        self._child = 0

    def start(self, drop: Any) -> None:
        """Stage and publish a drop in a new process, as the tasks do."""
        assert self._server.stdin
        told = json.dumps([dict(os.environ), drop.candidates_uri, drop.validation_uri])
        self._server.stdin.write(f"{told}\n".encode())
        self._child = self._answer()

    def kill_after(self, delay: float) -> int:
        """Kill what was started after so many seconds, unless it has ended; return its exit status."""
        if not select.select([self._server.stdout], [], [], delay)[0]:
            with suppress(ProcessLookupError):  # it has ended this very moment
                os.kill(self._child, signal.SIGKILL)
        return self._answer()

    def wait(self) -> int:
        """Wait until what was started has ended; return its exit status."""
        return self._answer()

    def has_ended(self) -> bool:
        return bool(select.select([self._server.stdout], [], [], 0)[0])

    def _answer(self) -> int:
        assert self._server.stdout
        return int(self._server.stdout.readline())

    def close(self) -> None:
        self._server.kill()
        self._server.communicate()


@pytest.fixture(scope="module")
def publishers() -> Iterator[tuple[Publisher, Publisher]]:
    both = Publisher(), Publisher()
    yield both
    for publisher in both:
        publisher.close()


def told(name: str, drop: str, snapshot: str | None = None) -> frozenset[str]:
    """Return a drop's rows of a table as readers see them: each by its line."""
    lines = tables.read(name, tables.equals("drop_id", drop), ["raw_line"], snapshot)["raw_line"].to_pylist()
    assert len(set(lines)) == len(lines)
    return frozenset(lines)


def found() -> Found:
    """Return all that there is to see of the tables: rows, branches, and every state that readers ever saw."""
    seen: Found = {}
    for name in TABLES:
        table = tables.load(name)
        seen[f"rows of {name}"] = sorted(tables.read(name).to_pylist(), key=str)
        seen[f"branches of {name}"] = sorted(table.metadata.refs)
        heads = [table.snapshot_by_id(entry.snapshot_id) for entry in table.history()]
        seen[f"history of {name}"] = [
            (publishing.summary_property(head, publishing.DROP), publishing.summary_property(head, publishing.CONTENT))
            for head in heads
            if head
        ]
    return seen


class Catalogue:
    """A catalogue with a drop in it, of which each round of a test gets a copy."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory, self._monkeypatch = directory, monkeypatch
        self._copies = 0

    def use(self, name: str) -> None:
        self._monkeypatch.setenv("LOOKBOOK_CATALOG_URI", f"sqlite:///{self._directory / name}")
        get_settings.cache_clear()

    def copy(self) -> None:
        """Go on with a copy of the tables as they were first; the files that they name in S3 never change."""
        self._copies += 1
        shutil.copy(self._directory / "first.db", self._directory / f"{self._copies}.db")
        self.use(f"{self._copies}.db")


@pytest.fixture
def catalogue(store_drop: StoreDrop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """The tables with the old state of the drop in them."""
    catalogue = Catalogue(tmp_path, monkeypatch)
    catalogue.use("first.db")
    old = store_drop(DROP, ["1", "2", "3", "4"], rejected=("2", "4"), raw_lines=raw_lines("old", 4))
    publishing.publish(publishing.stage(old.candidates_uri, old.validation_uri))
    return catalogue


def raw_lines(state: str, number: int) -> dict[str, str]:
    return {str(n): f"{n},{state}" for n in range(1, number + 1)}


def new_state(store_drop: StoreDrop) -> Any:
    return store_drop(DROP, list("123456"), rejected=("1", "6"), name="dress", raw_lines=raw_lines("new", 6))


OLD_OR_NEW = {
    (PRODUCTS, DROP): ({"1,old", "3,old"}, {"2,new", "3,new", "4,new", "5,new"}),
    (QUARANTINE, DROP): ({"2,old", "4,old"}, {"1,new", "6,new"}),
    (PRODUCTS, BESIDE): (set(), {"1,beside"}),
    (QUARANTINE, BESIDE): (set(), {"2,beside"}),
}


def check_readers() -> None:
    """Check that whoever read, at whatever time, saw of each drop the old state or the new one, whole."""
    for (name, drop), states in OLD_OR_NEW.items():
        heads = [str(entry.snapshot_id) for entry in tables.load(name).history()][1:]  # the first is the empty table
        assert heads
        assert all(told(name, drop, head) in states for head in heads)


def undisturbed(catalogue: Catalogue, publisher: Publisher, *drops: Any) -> tuple[Found, float]:
    """Return what there is to see after drops were published, and how long (s) the first one took."""
    catalogue.copy()
    began = time.monotonic()
    publisher.start(drops[0])
    assert publisher.wait() == 0
    span = time.monotonic() - began
    for drop in drops[1:]:
        publisher.start(drop)
        assert publisher.wait() == 0
    return found(), span


def difference_uri(drop: Any) -> str:
    return f"{drop.validation_uri.rpartition('/')[0]}/difference.json"


def test_who_reads_while_a_drop_is_published_sees_it_old_or_new_in_whole(
    catalogue: Catalogue, store_drop: StoreDrop, publishers: tuple[Publisher, Publisher]
) -> None:
    publisher, seen = publishers[0], []
    publisher.start(new_state(store_drop))
    while not publisher.has_ended():
        seen += [(name, told(name, DROP)) for name in TABLES]
    assert publisher.wait() == 0
    assert seen
    assert all(state in OLD_OR_NEW[name, DROP] for name, state in seen)


def test_killed_at_any_moment_and_run_again_the_tables_are_as_if_undisturbed(
    catalogue: Catalogue,
    store_drop: StoreDrop,
    publishers: tuple[Publisher, Publisher],
    request: pytest.FixtureRequest,
) -> None:
    publisher, drop = publishers[0], new_state(store_drop)
    expected, span = undisturbed(catalogue, publisher, drop)
    changes = storage.read_json(difference_uri(drop))
    assert (changes["added"], changes["removed"], changes["changed"]) == (["2", "4", "5"], ["1"], ["3"])
    moments, killed = random.Random(SEED), 0
    for _ in range(request.config.getoption("--kills")):
        delay = moments.uniform(0, span)
        catalogue.copy()
        storage.delete(difference_uri(drop))
        publisher.start(drop)
        status = publisher.kill_after(delay)
        killed += status == -signal.SIGKILL
        publisher.start(drop)
        assert publisher.wait() == 0
        assert found() == expected, f"killed after {delay:.3f} of {span:.3f} s"
        assert storage.read_json(difference_uri(drop)) == changes
        check_readers()
    assert killed


def test_a_run_beside_one_that_is_killed_lands_and_so_does_the_killed_one_when_run_again(
    catalogue: Catalogue,
    store_drop: StoreDrop,
    publishers: tuple[Publisher, Publisher],
    request: pytest.FixtureRequest,
) -> None:
    drop = new_state(store_drop)
    beside = store_drop(BESIDE, ["1", "2"], rejected=("2",), raw_lines=raw_lines("beside", 2))
    expected, span = undisturbed(catalogue, publishers[0], drop, beside)
    moments, killed = random.Random(SEED), 0
    for _ in range(request.config.getoption("--kills") // 2):
        delay = moments.uniform(0, 2 * span)  # two runs at once take longer than one
        catalogue.copy()
        for publisher, one in zip(publishers, (drop, beside), strict=True):
            publisher.start(one)
        killed += publishers[0].kill_after(delay) == -signal.SIGKILL
        publishers[0].start(drop)
        assert [publisher.wait() for publisher in publishers] == [0, 0]
        assert in_any_order(found()) == in_any_order(expected), f"killed after {delay:.3f} of {span:.3f} s"
        check_readers()
    assert killed


def in_any_order(seen: Found) -> Found:
    """Return what was found without the order in which drops came: of two at once, either may be first."""
    return {key: sorted(value, key=str) for key, value in seen.items()}
