"""vLLM in a process of its own: started when first asked, spoken to through pipes, gone with this one."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any, Final

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm.failures import from_response
from promptlabel.llm.jobs import utc_now

_WORKER: Final = Path(__file__).with_name("vllm_worker.py")
_LENGTH: Final = 4
_FAREWELL: Final = 5.0
_TAIL: Final = 2000

_QUIET: Final[Mapping[str, str]] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "KMP_BLOCKTIME": "0",
}
"""What vLLM finds in its environment unless it is set there: no network, no telemetry, no further processes,
and on a CPU 1 GiB for its cache and threads that do not wait in a loop."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What is to be run.

    Attributes:
        python: the interpreter that has vLLM.
        weights: the model's folder.
        arguments: of `vllm.LLM`, beside the model.
        threads: on a CPU; None is vLLM's own choice.
    """

    python: str
    weights: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        threads = {"OMP_NUM_THREADS": str(self.threads), "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        return {**_QUIET, **os.environ, **(threads if self.threads else {})}


class VllmProcess:
    """A worker (see `vllm_worker`), loaded at the first request; requests go on side by side.

    Once it has ended, whatever the reason, every request fails for good with that reason.
    """

    def __init__(self, engine: Engine, command: Sequence[str] = ()) -> None:
        self._engine = engine
        self._command = command or (engine.python, "-u", str(_WORKER))
        self._numbers = count()
        self._open: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._running: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._said = ""
        self._death: ModelError | None = None

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """The body of the answer.

        Raises:
            ModelError: the request is refused; permanent where the worker cannot start or has died.
        """
        await self._started()
        number = next(self._numbers)
        answered = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(orjson.dumps({"id": number, "path": path, "body": body}))
            frame = await answered
        finally:
            self._open.pop(number, None)
        received = orjson.dumps(frame["body"])
        if frame["status"] != 200:
            raise from_response(frame["status"], {}, received, utc_now())
        return received

    async def close(self) -> None:
        """Nothing; the process has ended and its memory is free."""
        running, self._running = self._running, None
        if running is None:
            return
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.wait({running}, timeout=_FAREWELL)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def _started(self) -> None:
        if self._death is not None:
            raise self._death
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._ready))
        await asyncio.shield(self._ready)

    async def _run(self, ready: asyncio.Future[None]) -> None:
        """Nothing, once the process has ended; whoever waits then hears why."""
        with tempfile.TemporaryFile() as log:
            try:
                await self._read(await self._start(log), ready)
            except OSError as error:
                self._said = f"{self._engine.python}: {error.strerror}"
            finally:
                code = await self._end()
                self._fail(ready, _death(code, self._said, _tail(log)))

    async def _start(self, log: IO[bytes]) -> asyncio.StreamReader:
        arguments = orjson.dumps({"model": str(self._engine.weights), **self._engine.arguments}).decode()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=self._engine.environment,
        )
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        return self._process.stdout

    async def _read(self, source: asyncio.StreamReader, ready: asyncio.Future[None]) -> None:
        try:
            while True:
                length = int.from_bytes(await source.readexactly(_LENGTH), "big")
                self._take(orjson.loads(await source.readexactly(length)), ready)
        except asyncio.IncompleteReadError:
            return

    def _take(self, frame: Mapping[str, Any], ready: asyncio.Future[None]) -> None:
        if "ready" in frame:
            ready.set_result(None)
        elif "failed" in frame:
            self._said = frame["failed"]
        elif (answered := self._open.get(frame["id"])) and not answered.done():
            answered.set_result(frame)

    def _send(self, content: bytes) -> None:
        assert self._process is not None  # noqa: S101 - it has said that it is ready
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(len(content).to_bytes(_LENGTH, "big") + content)

    async def _end(self) -> int | None:
        if self._process is None:
            return None
        if self._process.returncode is None:
            try:
                async with asyncio.timeout(_FAREWELL):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        return await self._process.wait()

    def _fail(self, ready: asyncio.Future[None], error: ModelError) -> None:
        self._death = error
        waiting: list[asyncio.Future[Any]] = [ready, *self._open.values()]
        for one in waiting:
            if not one.done():
                one.set_exception(error)
                one.exception()


def _death(code: int | None, said: str, log: str) -> ModelError:
    """Why the process ended, and what helps."""
    if "No module named 'vllm'" in said:
        return _permanent("that interpreter has no vLLM: name one that has as `python`", said)
    if "out of memory" in said.lower() or "MemoryError" in said or code == -9:
        advice = (
            "vLLM ran out of memory: lower `engine.gpu_memory_utilization`, `max_model_len` or `max_num_seqs`"
        )
        return _permanent(advice, said or "the system killed it")
    return _permanent("vLLM has ended", said or f"exit code {code}: {log}")


def _permanent(advice: str, said: str) -> ModelError:
    return ModelError(f"{advice} ({said})", cause="engine", permanent=True)


def _tail(log: IO[bytes]) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _TAIL))
    return log.read().decode("utf-8", "replace").strip()
