"""The event loop that verbs run on."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_COLLECTIONS: Final = (50_000, 50, 100)
"""Objects made between two searches for cyclic garbage, and how seldom older ones are searched."""


def run_on_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, on uvloop where the platform has it."""
    with _collecting_seldom():
        if sys.platform == "win32":
            return asyncio.run(work)
        import uvloop

        return uvloop.run(work)


@contextmanager
def on_interrupt(act: Callable[[], None]) -> Iterator[None]:
    """While inside, an interrupt does this instead of tearing the run down; in the main thread, as signals need."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """While inside, cyclic garbage is looked for seldom: a run makes next to none, and each search visits all it holds.

    With Python's own thresholds a fifth of a run's processor time goes into these searches.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
