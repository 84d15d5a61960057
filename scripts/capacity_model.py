"""A simulation of machines that work on shards of traces: bursts of computing in threads, and waits, in a closed loop.

A machine shares its processors evenly among the threads that have something to do; a thread does one thing after the
other. That is all it knows: rates follow from what a piece of work takes, not from how often it was seen to be done.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(eq=False)
class Machine:
    """Processors that threads share."""

    processors: float
    busy: list[Burst] = field(default_factory=list)

    @property
    def pace(self) -> float:
        """Seconds of computing that each busy thread gets in a second."""
        return min(1.0, self.processors / len(self.busy)) if self.busy else 0.0


@dataclass(eq=False)
class Thread:
    """Does one burst after the other, on one machine."""

    machine: Machine
    line: deque[Burst] = field(default_factory=deque)


@dataclass(frozen=True)
class Step:
    """`seconds` of computing in a thread, or of waiting where there is none."""

    seconds: float
    thread: Thread | None = None


@dataclass(eq=False)
class Worker:
    """Goes through its steps again and again; each round is worth so many items. It begins after `start` seconds."""

    steps: Sequence[Step]
    items: float = 1.0
    start: float = 0.0
    at: int = 0


@dataclass(eq=False)
class Burst:
    """A worker's computing under way; what is left of it, in seconds of a processor of its own."""

    worker: Worker
    thread: Thread
    left: float

    @property
    def due(self) -> float:
        """Seconds until it is done, if all stays as it is."""
        return self.left / self.thread.machine.pace


def seconds_for(items: float, workers: Sequence[Worker]) -> float:
    """How long the workers take for so many items together."""
    return _Run(workers).until(items)


def rate(workers: Sequence[Worker], *, rounds: int = 400) -> float:
    """Items a second in the long run, the first tenth left out."""
    few = sum(worker.items for worker in workers) * rounds / 10
    return 0.9 * 10 * few / (seconds_for(10 * few, workers) - seconds_for(few, workers))


class _Run:
    def __init__(self, workers: Sequence[Worker]) -> None:
        self._now = 0.0
        self._number = 0
        self._waiting: list[tuple[float, int, Worker]] = []
        self._machines: list[Machine] = []
        for worker in workers:
            worker.at = 0
            self._wait(worker, worker.start)
            for thread in (step.thread for step in worker.steps if step.thread):
                thread.line.clear()
                thread.machine.busy.clear()
                if thread.machine not in self._machines:
                    self._machines.append(thread.machine)

    def until(self, items: float) -> float:
        done = 0.0
        while done < items:
            worker = self._next()
            if worker.at == len(worker.steps):
                done += worker.items
                worker.at = 0
            self._begin(worker)
        return self._now

    def _begin(self, worker: Worker) -> None:
        step = worker.steps[worker.at]
        worker.at += 1
        if step.thread is None:
            self._wait(worker, step.seconds)
            return
        burst = Burst(worker, step.thread, step.seconds)
        step.thread.line.append(burst)
        if len(step.thread.line) == 1:
            step.thread.machine.busy.append(burst)

    def _wait(self, worker: Worker, seconds: float) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (self._now + seconds, self._number, worker))

    def _next(self) -> Worker:
        """The worker whose step is done first; time has gone on till then."""
        nearest = [min(one.busy, key=lambda burst: burst.left) for one in self._machines if one.busy]
        burst = min(nearest, key=lambda burst: burst.due, default=None)
        if burst is None or (self._waiting and self._waiting[0][0] <= self._now + burst.due):
            moment, _, worker = heapq.heappop(self._waiting)
            self._pass(max(0.0, moment - self._now))
            return worker
        machine = burst.thread.machine
        self._pass(burst.due)
        machine.busy.remove(burst)
        burst.thread.line.popleft()
        if burst.thread.line:
            machine.busy.append(burst.thread.line[0])
        return burst.worker

    def _pass(self, seconds: float) -> None:
        for machine in self._machines:
            pace = machine.pace
            for burst in machine.busy:
                burst.left -= seconds * pace
        self._now += seconds
