"""A chain of links from a thing back to what it was made from, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class TaskInstance:
    """The task instance that made a thing; the rest is ``None`` when it left no lineage record (yet).

    ``code_version`` and ``settings_sha256`` are also ``None`` in records that are older than these columns.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    finished_at: str | None = None
    code_version: str | None = None
    settings_sha256: str | None = None

    def __str__(self) -> str:
        """Return it as one line."""
        index = f" [{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id} · {self.run_id} · {self.task_id}{index}"


@dataclass(frozen=True)
class Link:
    """One versioned thing of a chain.

    ``problem`` says what is broken: the thing is gone, or is no longer what was read. ``sources`` are what it was
    made from, ``tasks`` who made it.
    """

    kind: str
    name: str
    version: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[TaskInstance, ...] = ()
    problem: str | None = None
    sources: tuple[Link, ...] = ()

    def walk(self) -> Iterator[Link]:
        """Yield this link and all behind it."""
        yield self
        for source in self.sources:
            yield from source.walk()


@dataclass(frozen=True)
class Chain:
    """Where one product's description came from."""

    product_id: str
    root: Link

    @property
    def problems(self) -> list[str]:
        """Every broken link, in words."""
        return [f"{link.kind} {link.name}: {link.problem}" for link in self.root.walk() if link.problem]

    def as_dict(self) -> dict[str, Any]:
        """Return the chain as JSON values; ``whole`` says that every link resolves."""
        problems = self.problems
        return {"product_id": self.product_id, "whole": not problems, "problems": problems, **asdict(self)}

    def text(self) -> str:
        """Return the chain as a tree to read, on a terminal too: what a drop states may hold control characters."""
        verdict = [f"✗ {problem}" for problem in self.problems] or ["✓ The chain is whole: every link resolves."]
        return printed(self.root, verdict)


def stated(**details: Any) -> dict[str, Any]:
    """Return those details that there are."""
    return {name: value for name, value in details.items() if value not in (None, "")}


def printed(root: Link, verdict: Sequence[str]) -> str:
    """Return a tree of links with some lines below it, free of control characters."""
    return "\n".join(_printable(line) for line in (*_tree(root), "", *verdict))


def _tree(link: Link, lead: str = "", stem: str = "") -> Iterator[str]:
    version = f" @ {link.version}" if link.version else ""
    yield f"{lead}{link.kind}: {link.name}{version}{'  ✗ ' + link.problem if link.problem else ''}"
    bar = stem + ("│ " if link.sources else "  ")
    for name, value in link.details.items():
        yield f"{bar}  {name}: {value}"
    for task in link.tasks:
        yield f"{bar}  made by: {task}"
    for number, source in enumerate(link.sources, 1):
        last = number == len(link.sources)
        yield from _tree(source, f"{stem}{'└─ ' if last else '├─ '}", stem + ("   " if last else "│  "))


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in line)
