"""Show a run while it goes: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from laptop.watching import RunView, TaskView

_MARKS = {
    "success": "✓",
    "failed": "✗",
    "upstream_failed": "✗",
    "up_for_retry": "↻",
    "skipped": "–",
    "running": "▸",
    "deferred": "▸",
}
_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "cyan", "deferred": "cyan"}
_WORDS = {
    "": "",
    "success": "done",
    "deferred": "waiting for AWS",
    "up_for_retry": "failed, to be tried again",
    "scheduled": "next",
}
_LINE_EVERY_S = 5.0


class Reporter(Protocol):
    """Shows one run at a time; used as a context manager around it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show(self, view: RunView, notes: list[str]) -> None:
        """Show a run as it is now; ``notes`` are new lines on what its current task does inside."""


class Pace:
    """How fast a mapped task gets on."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def describe(self, task: TaskView, now: float) -> str:
        """Return e.g. ``57 of 200, 3.1/s, 0:46 left``; ``now`` in seconds of any steady clock."""
        began, first = self._began.setdefault(task.task_id, (now, task.done))
        text = f"{task.done} of {task.total}" + (f", {task.failed} failed" if task.failed else "")
        rate = (task.done - first) / (now - began) if now > began else 0.0
        left = task.total - task.done - task.failed
        if not rate or not left:
            return text
        return f"{text}, {rate:.1f}/s, {_clock(left / rate)} left"


class LineReporter:
    """Prints a line when a task ends, and every few seconds on one that takes long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}
        self._pace = Pace()
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, view: RunView, notes: list[str]) -> None:
        """Print what changed."""
        for task in view.tasks:
            if task.state in _MARKS and task.state != self._states.get(task.task_id):
                self._tell(view, task)
            self._states[task.task_id] = task.state
        due = time.monotonic() - self._last_line >= _LINE_EVERY_S
        for task in view.tasks:
            if due and task.is_active and task.total:
                self._line(view, f"{task.task_id}: {self._pace.describe(task, view.seconds)}")
        if notes and (due or "validation_loss" in notes[-1]):
            self._line(view, notes[-1])

    def _tell(self, view: RunView, task: TaskView) -> None:
        count = f" ({self._pace.describe(task, view.seconds)})" if task.total else ""
        self._line(view, f"{_MARKS[task.state]} {task.task_id}: {_word(task)}{count}")

    def _line(self, view: RunView, text: str) -> None:
        self._console.print(f"  {_clock(view.seconds):>5}  {text}", markup=False)
        self._last_line = time.monotonic()


class LiveReporter:
    """Keeps a table of the run's tasks up to date in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=4)
        self._pace = Pace()
        self._note = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, view: RunView, notes: list[str]) -> None:
        """Redraw the table."""
        self._note = notes[-1] if notes else self._note
        table = Table.grid(padding=(0, 2))
        for task in view.tasks:
            words = self._pace.describe(task, view.seconds) if task.total else _word(task)
            style = _STYLES.get(task.state, "dim")
            table.add_row(Text(f"  {_MARKS.get(task.state, '·')} {task.task_id}", style), Text(words, style))
        self._live.update(Group(table, Text(f"  {_clock(view.seconds)}  {self._note}", "dim")))


def reporter(console: Console) -> Reporter:
    """Return the reporter that suits where the output goes."""
    return LiveReporter(console) if console.is_terminal else LineReporter(console)


def _word(task: TaskView) -> str:
    return _WORDS.get(task.state, task.state)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
