"""`vllm run-batch` as a runner of batches: a process a batch, which goes on when this one ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm.batches import BatchState
from promptlabel.llm.vllm_process import Engine

_DETACHED = '"$@" &'
_TAIL = 1500


class RunBatch:
    """Batches of one model in a folder; a batch's own name is the name it was submitted under.

    A running batch holds a lock on ``NAME.lock``, which it has from whoever started it; the kernel gives the lock
    free when the last of its processes ends, however it ends.

    Args:
        engine: what is run.
        model: the name that requests give the model.
        folder: where answers, locks and logs lie.
    """

    def __init__(self, engine: Engine, model: str, folder: Path) -> None:
        self._engine = engine
        self._model = model
        self._folder = folder

    async def submit(self, name: str, file: Path, path: str) -> str:  # noqa: ARG002 - of the protocol
        """See `BatchRunner.submit`; the process has been started."""
        await asyncio.to_thread(self._start, name, file)
        return name

    async def find(self, name: str) -> str | None:
        """See `BatchRunner.find`."""
        return name if self._file(name, "lock").exists() else None

    async def state(self, batch: str) -> BatchState:
        """See `BatchRunner.state`; answers are written when all are there."""
        if _is_held(self._file(batch, "lock")):
            return BatchState("running")
        answers = self._file(batch, "answers.jsonl")
        if answers.exists():
            return BatchState("ended", files=(str(answers),))
        return BatchState("refused", message=f"vllm run-batch has ended: {_tail(self._file(batch, 'log'))}")

    async def fetch(self, file: str) -> bytes:
        """See `BatchRunner.fetch`."""
        return await asyncio.to_thread(Path(file).read_bytes)

    async def close(self) -> None:
        """See `BatchRunner.close`."""

    def _start(self, name: str, file: Path) -> None:
        command = [self._engine.python, "-m", "vllm.entrypoints.cli.main", "run-batch"]
        command += ["-i", str(file), "-o", str(self._file(name, "answers.jsonl"))]
        command += ["--model", str(self._engine.weights), "--served-model-name", self._model]
        command += ["--trust-request-chat-template", "--generation-config", "vllm"]
        command += flags(self._engine.arguments)
        with self._file(name, "lock").open("wb") as lock, self._file(name, "log").open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                subprocess.run(  # noqa: S603 - the user's own interpreter
                    ["/bin/sh", "-c", _DETACHED, "sh", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                    env=self._engine.environment,
                    check=True,
                )
            except (OSError, subprocess.CalledProcessError) as error:
                raise ModelError(
                    f"vllm run-batch cannot be started: {error}", cause="engine", permanent=True
                ) from None

    def _file(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """The arguments of `vllm.LLM` as those of its command line."""
    return [word for name, value in arguments.items() for word in _flag(name.replace("_", "-"), value)]


def _flag(name: str, value: object) -> Iterator[str]:
    if isinstance(value, bool):
        yield f"--{name}" if value else f"--no-{name}"
        return
    yield f"--{name}"
    yield value if isinstance(value, str) else orjson.dumps(value).decode()


def _is_held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _tail(log: Path) -> str:
    if not log.exists():
        return "it left no log"
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return file.read().decode("utf-8", "replace").strip()
