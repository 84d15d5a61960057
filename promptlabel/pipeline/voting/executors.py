"""Where shards are worked on: in this process, in a pool of processes, or on a Ray cluster.

All three give the same results, though not in the same order. A shard whose worker died is worked on again: its
work must be such that twice is as good as once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, Final, Generic, Protocol, TypeVar, cast, runtime_checkable

from promptlabel.errors import MissingExtraError, PromptlabelError
from promptlabel.settings import Engine

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS: Final = 4
"""How often a shard is given to a worker before the run gives up on it."""
_WHOLE: Final = 2
"""How often of these it is given out whole."""
_AHEAD: Final = 2
"""Shards given out for each worker: one in work, one at hand."""
_DIED: Final = (
    "{item} cost {times} workers their lives, likely for want of memory; what was voted is stored: lower"
    " `engine.workers` or `engine.shard` in promptlabel.yaml, or what the rule holds in memory, and run this again"
)


@runtime_checkable
class Divisible(Protocol):
    """An item that falls into smaller ones, so that what kills workers can be told from what does not."""

    def pieces(self) -> Sequence[Any]:
        """Smaller items of the same kind that amount to this one; itself alone where there are none."""
        ...


class Executor(Protocol):
    """Works on many items at once."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The result for each item, or its pieces, as it comes; items are taken as there is room for them.

        Raises:
            PromptlabelError: if workers keep dying over an item, which it names; and whatever the work raised.
        """
        ...


@contextmanager
def executor_of(engine: Engine) -> Iterator[Executor]:
    """The executor of the configuration, for as long as the block lasts.

    Raises:
        MissingExtraError: if it is Ray, and Ray is not installed.
    """
    if engine.executor == "pool":
        yield Pool(workers_here(engine))
    elif engine.executor == "ray":
        with ray_of(engine) as ray:
            yield Ray(ray, engine.workers)
    else:
        yield Inline()


def workers_here(engine: Engine) -> int:
    """How many workers are configured, else one for each processor of this machine."""
    return engine.workers or os.cpu_count() or 1


class Inline:
    """One item after the other, in this process."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See `Executor.map`."""
        return map(work, items)


@dataclass(slots=True)
class Given(Generic[Item]):
    """An item in work, and how often it was given out."""

    item: Item
    times: int = 1


class Pool:
    """Processes of this machine, each started anew, so that none inherits locks or connections.

    When one is killed, what was in work is done again, item by item alone, so that the one to blame is known; the rest
    goes on with half as many processes, which need half as much memory.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See `Executor.map`."""
        waiting, workers = iter(items), self._workers
        while True:
            running: dict[Future[Result], Item] = {}
            with _processes(workers) as pool:
                yield from _run(pool, work, waiting, running, _AHEAD * workers)
            if not running:
                return
            for item in running.values():
                yield from _alone(work, Given(item))
            workers = max(1, workers // 2)


def _processes(number: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, mp_context=get_context("spawn"))


def _run(
    pool: ProcessPoolExecutor,
    work: Callable[[Item], Result],
    waiting: Iterator[Item],
    running: dict[Future[Result], Item],
    room: int,
) -> Iterator[Result]:
    """Results until there are no more items, or a process died: what is `running` then has to be done again."""
    try:
        while True:
            for item in islice(waiting, room - len(running)):
                running[pool.submit(work, item)] = item
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                del running[future]
                yield result
    except (BrokenProcessPool, MemoryError):
        return


def _alone(work: Callable[[Item], Result], given: Given[Item]) -> Iterator[Result]:
    """The result of an item over which a process may have died, worked on by one process beside which there is none."""
    running: dict[Future[Result], Item] = {}
    with _processes(1) as pool:
        yield from _run(pool, work, iter([given.item]), running, 1)
    if running:
        for again in again_or_in_pieces(given):
            yield from _alone(work, again)


def once_more(given: Given[Item]) -> Given[Item]:
    """The item, to be given out again.

    Raises:
        PromptlabelError: if that was done too often.
    """
    if given.times >= ATTEMPTS:
        raise PromptlabelError(_DIED.format(times=given.times, item=given.item))
    return Given(given.item, given.times + 1)


def again_or_in_pieces(given: Given[Item]) -> list[Given[Item]]:
    """See `once_more`; the second time and later, the pieces into which the item falls."""
    again = once_more(given)
    if given.times < _WHOLE or not isinstance(given.item, Divisible):
        return [again]
    return [Given(cast("Item", piece), again.times) for piece in given.item.pieces()]


@contextmanager
def ray_of(engine: Engine) -> Iterator[Any]:
    """Ray, connected to the configured cluster or to one made here for as long as the block lasts.

    Raises:
        MissingExtraError: if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "engine.executor: ray, which spreads a run over machines,", "pip install 'promptlabel[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    # Without an address Ray would join whatever cluster it finds on this machine.
    ray.init(address=engine.address or "local", num_cpus=None if engine.address else engine.workers, **_QUIET)
    try:
        yield ray
    finally:
        ray.shutdown()


_QUIET: Final[dict[str, Any]] = {
    "log_to_driver": False,
    "logging_level": "WARNING",
    "include_dashboard": False,
}


class Ray:
    """Tasks on a Ray cluster; one whose worker or node died is given out again."""

    def __init__(self, ray: Any, workers: int | None) -> None:
        self._ray = ray
        self._workers = workers

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See `Executor.map`."""
        remote = self._ray.remote(max_retries=0)(work)
        waiting, again = iter(items), deque[Given[Item]]()
        running: dict[Any, Given[Item]] = {}
        while True:
            while len(running) < self._room and (given := _next(waiting, again)):
                running[remote.remote(given.item)] = given
            if not running:
                return
            (reference, *_), _ = self._ray.wait(list(running))
            given = running.pop(reference)
            try:
                yield cast("Result", result_of(self._ray, reference))
            except (WorkerDiedError, MemoryError):
                again.extend(again_or_in_pieces(given))

    @property
    def _room(self) -> int:
        return _AHEAD * (self._workers or int(self._ray.cluster_resources().get("CPU", 1)))


def _next(waiting: Iterator[Item], again: deque[Given[Item]]) -> Given[Item] | None:
    if again:
        return again.popleft()
    for item in waiting:
        return Given(item)
    return None


class WorkerDiedError(PromptlabelError):
    """A worker, or its node, ended before it returned anything."""


def result_of(ray: Any, reference: Any) -> Any:
    """What the task returned.

    Raises:
        WorkerDiedError: if its worker died; and whatever the task raised.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise WorkerDiedError(f"a worker died: {error}") from error
