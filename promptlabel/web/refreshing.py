"""The page's queue kept up with what other processes do through this one: a new queue, a new fit, gold."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Final, Self

from promptlabel.pipeline.reviewing.review import ReviewDesk

_OF_A_TASK: Final = ("save_queue", "save_posteriors")
_OF_ANY: Final = ("add_gold", "add_review")
_PAUSE: Final = 0.2


class Refresher:
    """Refreshes the desk in a thread of its own, once for what changes in quick succession."""

    def __init__(self, desk: ReviewDesk) -> None:
        self._desk = desk
        self._stale: set[str] = set()
        self._called = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="promptlabel-refreshing", daemon=True)

    def heed(self, method: str, arguments: tuple[Any, ...]) -> None:
        """Nothing; if the call changed what reviewers see, the desk will be refreshed."""
        if method in _OF_A_TASK:
            self._stale.add(getattr(arguments[0], "task", arguments[0]))
        elif method in _OF_ANY:
            self._stale.update(self._desk.tasks)
        else:
            return
        self._called.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._called.set()
        self._thread.join()

    def _run(self) -> None:
        while self._called.wait() and not self._closing.wait(_PAUSE):
            self._called.clear()
            while self._stale:
                self._desk.refresh(self._stale.pop())
