"""Where shards are worked on: in this process, in a pool of processes, or on a Ray cluster.

All three give the same results, though not in the same order. A shard whose worker died is worked on again: its
work must be such that twice is as good as once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final, Generic, Protocol, TypeVar

from promptlabel.errors import MissingExtraError, PromptlabelError
from promptlabel.settings import Engine

Item = TypeVar("Item")
Result = TypeVar("Result")

ATTEMPTS: Final = 4
"""How often a shard is given to a worker before the run gives up on it."""
_AHEAD: Final = 2
"""Shards given out for each worker: one in work, one at hand."""
_DIED: Final = (
    "a worker died {times} times over the same shard, likely out of memory; what was voted is stored: lower"
    " `engine.workers` or `engine.shard` in promptlabel.yaml and run this again"
)


class Executor(Protocol):
    """Works on many items at once."""

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The result for each item, as it comes; items are taken as there is room for them.

        Raises:
            PromptlabelError: if workers keep dying over an item; and whatever the work raised.
        """
        ...


@contextmanager
def executor_of(engine: Engine) -> Iterator[Executor]:
    """The executor of the configuration, for as long as the block lasts.

    Raises:
        MissingExtraError: if it is Ray, and Ray is not installed.
    """
    if engine.executor == "pool":
        yield Pool(engine.workers or os.cpu_count() or 1)
    elif engine.executor == "ray":
        with ray_of(engine) as ray:
            yield Ray(ray, engine.workers)
    else:
        yield Inline()


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
    """Processes of this machine, each started anew, so that none inherits locks or connections."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See `Executor.map`."""
        waiting, again = iter(items), deque[Given[Item]]()
        while True:
            with ProcessPoolExecutor(self._workers, mp_context=get_context("spawn")) as pool:
                running: dict[Future[Result], Given[Item]] = {}
                yield from self._run(pool, work, waiting, again, running)
            if not running and not again:
                return
            again.extend(once_more(given) for given in running.values())

    def _run(
        self,
        pool: ProcessPoolExecutor,
        work: Callable[[Item], Result],
        waiting: Iterator[Item],
        again: deque[Given[Item]],
        running: dict[Future[Result], Given[Item]],
    ) -> Iterator[Result]:
        """Results until there are no more items, or the pool is broken: what is `running` then has to be done again."""
        try:
            while True:
                while len(running) < _AHEAD * self._workers and (given := _next(waiting, again)):
                    running[pool.submit(work, given.item)] = given
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    yield result
        except BrokenProcessPool:
            return


def _next(waiting: Iterator[Item], again: deque[Given[Item]]) -> Given[Item] | None:
    if again:
        return again.popleft()
    for item in waiting:
        return Given(item)
    return None


def once_more(given: Given[Item]) -> Given[Item]:
    """The item, to be given out again.

    Raises:
        PromptlabelError: if that was done too often.
    """
    if given.times >= ATTEMPTS:
        raise PromptlabelError(_DIED.format(times=given.times))
    return Given(given.item, given.times + 1)


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
    ray.init(address=engine.address, num_cpus=None if engine.address else engine.workers, **_QUIET)
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
    """Tasks on a Ray cluster; Ray itself gives a task to another node when one dies."""

    def __init__(self, ray: Any, workers: int | None) -> None:
        self._ray = ray
        self._workers = workers

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """See `Executor.map`."""
        remote = self._ray.remote(max_retries=ATTEMPTS - 1)(work)
        waiting = iter(items)
        running: list[Any] = []
        while True:
            room = _AHEAD * (self._workers or int(self._ray.cluster_resources().get("CPU", 1)))
            while len(running) < room and (given := _next(waiting, deque())):
                running.append(remote.remote(given.item))
            if not running:
                return
            done, running = self._ray.wait(running)
            for reference in done:
                yield result_of(self._ray, reference)


def result_of(ray: Any, reference: Any) -> Any:
    """What the task returned.

    Raises:
        PromptlabelError: if its workers kept dying; and whatever the task raised.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise PromptlabelError(_DIED.format(times=ATTEMPTS)) from error
