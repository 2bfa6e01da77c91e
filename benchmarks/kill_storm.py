"""Ten kill -9 of tasks' processes and of the scheduler while 1,000 products are described.

Every product must be published once, and no more calls may be repeated than were in flight at the kills. A scheduler
that was killed is started again, as systemd or an orchestrator of containers would.
"""

from __future__ import annotations

import random
from pathlib import Path

import psutil

from benchmarks import Figure
from benchmarks._fanout import Platform, calls, describe, platform, publish_products, task_processes, timed
from laptop import record
from laptop.components import AIRFLOW
from laptop.environment import process_environment
from laptop.keys import load_or_create
from laptop.processes import start
from lookbook.catalog import tables

PRODUCTS = 1_000
KILLS = 10
SCHEDULER_KILLS = 3  # of the ten
SHARD = 50
CALLS_EACH = 4
DROP = "2026-11-16"
_LAST_KILL = 0.8  # of the products


def run(data: Path | None) -> Figure:
    """Describe products under fire and count."""
    with platform(LOOKBOOK_DESCRIPTION_CONCURRENCY=CALLS_EACH, LOOKBOOK_SHARD_SIZE=SHARD) as at:
        publish_products(DROP, PRODUCTS, data)
        storm = _Storm(at)
        took = timed(at, describe(at, DROP, storm.go_on))
        [counted] = calls(at).values()
        published = _published()
    repeated = counted["answered"] - PRODUCTS
    whole = len(published) == len(set(published)) == PRODUCTS
    ok = whole and len(storm.in_flight) == KILLS and repeated <= sum(storm.in_flight)
    detail = {
        "kills": len(storm.in_flight),
        "of_the_scheduler": storm.of_the_scheduler,
        "published": len(published),
        "published_twice": len(published) - len(set(published)),
        "in_flight_at_the_kills": sum(storm.in_flight),
        "run_s": round(took.seconds, 1),
    }
    goal = f"every product once after {KILLS} kills, no more repeated than were in flight"
    return Figure("kill_storm", repeated, "calls repeated", goal, ok, detail)


def _published() -> list[str]:
    of_drop = tables.equals("drop_id", DROP)
    rows = tables.read("descriptions.descriptions", of_drop, ("product_id", "status")).to_pylist()
    return [row["product_id"] for row in rows if row["status"] == "published"]


class _Storm:
    """Kills at random while descriptions are being written."""

    def __init__(self, at: Platform) -> None:
        self._at = at
        draw = self._draw = random.Random(20261121)  # noqa: S311 - repeatable, no secret
        self._kinds = [True] * SCHEDULER_KILLS + [False] * (KILLS - SCHEDULER_KILLS)
        draw.shuffle(self._kinds)
        # Spread over the run by what is done: at its end the same last tasks would be killed until no try is left.
        self._due = sorted(draw.randint(0, int(PRODUCTS * _LAST_KILL)) for _ in range(KILLS))
        self.in_flight: list[int] = []
        self.of_the_scheduler = 0

    def go_on(self) -> None:
        """Kill, if it is time and something is being written."""
        counted = calls(self._at).values()
        writing, answered = (sum(model[name] for model in counted) for name in ("in_flight", "answered"))
        if self._due and writing and answered >= self._due[0] and self._kill(scheduler=self._kinds[0]):
            self.in_flight.append(writing)
            self._kinds.pop(0)
            self._due.pop(0)

    def _kill(self, *, scheduler: bool) -> bool:
        if scheduler:
            return self._kill_the_scheduler()
        tasks = task_processes(self._at)
        if not tasks:
            return False
        chosen = self._draw.choice(tasks)
        # The worker dies with it: nobody is left to say what became of the task.
        for process in (chosen.parent(), chosen):
            if process:
                process.kill()
        return True

    def _kill_the_scheduler(self) -> bool:
        """Kill the scheduler and all the tasks that it runs, and start it again."""
        known = record.load(self._at.places)
        if known is None:
            raise SystemExit("The platform is gone.")
        scheduler = next(process for process in known.processes if process.name == "scheduler")
        leader = psutil.Process(scheduler.pid)
        for process in (leader, *leader.children(recursive=True)):
            process.kill()
        self.of_the_scheduler += 1
        self._start_again(known)
        return True

    def _start_again(self, known: record.Record) -> None:
        here = self._at.places
        component = next(component for component in AIRFLOW if component.name == "scheduler")
        environment = process_environment(here, known.ports, load_or_create(here))
        log = here.logs / f"scheduler-{self.of_the_scheduler}.log"
        anew = start(component.name, component.command(), environment, log, here.root)
        others = tuple(process for process in known.processes if process.name != "scheduler")
        record.save(here, record.Record(known.ports, (*others, anew)))
