"""Kill the publishing of a drop wherever it writes, run it again: the tables are those of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from lookbook.catalog import publishing, tables
from lookbook.catalog.publishing import PRODUCTS, QUARANTINE

StoreDrop = Callable[..., Any]  # the fixture of conftest.py

DROP = "2026-11-16"
# Publishes a drop and kills itself, as the kernel would, before or after the commit to the catalogue of that number.
PUBLISH = """
import os, signal, sys
from pyiceberg.catalog.sql import SqlCatalog
from lookbook.catalog import publishing

candidates, validation, moment, fatal = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
commit, made = SqlCatalog.commit_table, 0

def commit_or_die(*args, **kwargs):
    global made
    made += 1
    if moment == "before" and made == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = commit(*args, **kwargs)
    if moment == "after" and made == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

SqlCatalog.commit_table = commit_or_die
publishing.publish(publishing.stage(candidates, validation))
print(made)
"""


def published() -> dict[str, Any]:
    """Return the tables' rows and branches."""
    rows = {
        name: sorted(tables.read(name).to_pylist(), key=lambda row: (row["drop_id"], row["product_id"]))
        for name in (PRODUCTS, QUARANTINE)
    }
    return rows | {"branches": [sorted(tables.load(name).metadata.refs) for name in (PRODUCTS, QUARANTINE)]}


def publish(drop: Any) -> None:
    publishing.publish(publishing.stage(drop.candidates_uri, drop.validation_uri))


class Killed(BaseException):
    """The process ends here, as far as publishing can tell."""


def disturbed(drop: Any, fatal: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Publish, to be killed after the commit of number ``fatal``; return whether there were as many."""
    commit, made = SqlCatalog.commit_table, 0

    def commit_and_die(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        made += 1
        answer = commit(*args, **kwargs)
        if made == fatal:
            raise Killed
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(SqlCatalog, "commit_table", commit_and_die)
        try:
            publish(drop)
        except Killed:
            return True
    return False


def test_killed_after_any_commit_and_run_again_the_tables_are_as_if_undisturbed(
    store_drop: StoreDrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills, names, rejected = 0, [], []
    tables.ensure_tables()
    while True:
        drop_id = f"2026-11-{kills + 1:02}"
        drop = store_drop(drop_id, ["1", "2", "3"], rejected=("3",), name=drop_id)
        killed = disturbed(drop, kills + 1, monkeypatch)
        publish(drop)
        names += [f"{drop_id} 1", f"{drop_id} 2"]
        rejected.append((drop_id, "3"))
        if not killed:
            break
        kills += 1
    found = published()
    assert [row["display_name"] for row in found[PRODUCTS]] == names
    assert [(row["drop_id"], row["product_id"]) for row in found[QUARANTINE]] == rejected
    assert found["branches"] == [["main"], ["main"]]
    assert kills >= 6  # a branch, its rows and main, of each of two tables


def test_a_run_killed_before_it_published_leaves_no_branch_once_the_drop_comes_as_it_was(store_drop: StoreDrop) -> None:
    publish(store_drop(DROP, ["1"]))
    changed = store_drop(DROP, ["1", "2"])
    publishing.stage(changed.candidates_uri, changed.validation_uri)  # and no more
    publish(store_drop(DROP, ["1"]))
    found = published()
    assert [row["product_id"] for row in found[PRODUCTS]] == ["1"]
    assert found["branches"] == [["main"], ["main"]]


@pytest.mark.parametrize(("moment", "fatal"), [("before", 2), ("after", 5)])
def test_a_killed_process_leaves_nothing_that_another_cannot_finish(
    store_drop: StoreDrop, moment: str, fatal: int
) -> None:
    drop = store_drop(DROP, ["1", "2", "3"], rejected=("3",))
    tables.ensure_tables()
    arguments = [drop.candidates_uri, drop.validation_uri, moment]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def run(fatal: int) -> int:
        command = [sys.executable, "-c", PUBLISH, *arguments, str(fatal)]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert run(fatal) == -signal.SIGKILL
    assert run(0) == 0
    found = published()
    assert [row["display_name"] for row in found[PRODUCTS]] == ["shirt 1", "shirt 2"]
    assert [row["product_id"] for row in found[QUARANTINE]] == ["3"]
    assert found["branches"] == [["main"], ["main"]]
