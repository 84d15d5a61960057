"""Time that flies, a mock server, and questions, for everything that sends."""

from __future__ import annotations

import asyncio
import heapq
import importlib.util
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from llm.standin_vllm import vllm, weights  # noqa: F401 - fixtures

from promptlabel.llm.jobs import Job
from promptlabel.records import Question, RegisteredRule

RULE = RegisteredRule("quality", "asks_again", "prompt", "judge", "rule-hash", "model-hash")


class FlyingTime(asyncio.SelectorEventLoop):
    """An event loop that never waits: when nothing is ready its clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._elapsed = 0.0

    def time(self) -> float:
        return self._elapsed

    def _run_once(self) -> None:
        if not self._ready:
            self._forget_cancelled()
            if not self._scheduled:
                raise AssertionError("deadlock: nothing is ready and no timer is set")
            self._elapsed = max(self._elapsed, self._scheduled[0]._when)
        super()._run_once()

    def _forget_cancelled(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(self._scheduled)._scheduled = False


@pytest.fixture
def fly() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine in flying time; a deadlock is an error, not a hang."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=FlyingTime) as runner:
            return runner.run(coroutine)

    return run


@pytest.fixture(scope="session")
def mock_model() -> ModuleType:
    """The module scripts/mock_model.py."""
    path = Path(__file__).parents[2] / "scripts" / "mock_model.py"
    spec = importlib.util.spec_from_file_location("mock_model", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mock_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_jobs() -> Callable[..., Iterator[Job]]:
    """Jobs with distinct prompts that carry a `key=` for the mock server's counts."""

    def make(number: int, **question: Any) -> Iterator[Job]:
        for index in range(number):
            fields = {"prompt": f"key=k{index} Did it help?", "answers": ("yes", "no", "unsure"), **question}
            yield Job(Question(**fields), f"request-{index}", RULE, index)

    return make
