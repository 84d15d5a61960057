"""vLLM engines on a cluster: an actor for each, on a GPU of its own where there are any, asked by every asker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from promptlabel.errors import ModelError
from promptlabel.llm.in_process import InProcessClient
from promptlabel.llm.vllm_process import Engine, VllmProcess
from promptlabel.pipeline.voting.asking import Asking

_OPEN_AT_ONCE: Final = 4096
"""Requests that an engine's actor takes at once: the engine decides how many of them it works on."""


class Failure(NamedTuple):
    """Why a request failed: what a `ModelError` says, in a form that goes from one process to another."""

    message: str
    cause: str
    permanent: bool
    retry_after: float | None


class EngineActor:
    """The actor that runs an engine, which is loaded at the first request."""

    def __init__(self, engine: Engine) -> None:
        self._process = VllmProcess(engine)

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes | Failure:
        """The body of the answer, or why there is none."""
        try:
            return await self._process.post(path, body)
        except ModelError as error:
            return Failure(str(error), error.cause, error.permanent, error.retry_after)

    async def close(self) -> None:
        """Nothing; the engine's memory is free."""
        await self._process.close()


class EngineLine:
    """The engines of one model as an asker sees them: each request goes to the one that has the fewest of its own."""

    def __init__(self, ray: Any, engines: Sequence[Any], first: int = 0) -> None:
        self._ray = ray
        self._engines = [*engines[first % len(engines) :], *engines[: first % len(engines)]]
        self._open: Counter[int] = Counter()

    async def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """See `VllmProcess.post`; an engine that died is started again, and what it was asked can be asked again."""
        number = min(range(len(self._engines)), key=self._open.__getitem__)
        self._open[number] += 1
        try:
            found: bytes | Failure = await self._engines[number].post.remote(path, body)
        except self._ray.exceptions.RayError as error:
            raise ModelError(f"an engine has died: {error}", cause="connection") from error
        finally:
            self._open[number] -= 1
        if isinstance(found, Failure):
            message, cause, permanent, retry_after = found
            raise ModelError(message, cause=cause, permanent=permanent, retry_after=retry_after)
        return found

    async def close(self) -> None:
        """Nothing; the engines are others' too."""


def hire_engines(ray: Any, asked: Sequence[Asking], workers: int | None) -> dict[str, list[Any]]:
    """The engines of each model that vLLM runs, by its name.

    Where the cluster has GPUs they are divided among these models, and an engine has as many as it says it works on
    (`tensor_parallel_size`); else each node has an engine of every model, or `workers` nodes have.
    """
    engines = {
        asking.rule.model: asking.client.engine
        for asking in asked
        if isinstance(asking.client, InProcessClient)
    }
    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = sum(node["Alive"] for node in ray.nodes())
    found = {}
    for name, engine in engines.items():
        each = int(engine.arguments.get("tensor_parallel_size", 1)) if gpus else 0
        count = gpus // (each * len(engines)) if gpus else min(nodes, workers or nodes)
        actor = ray.remote(
            num_cpus=0,
            num_gpus=each,
            scheduling_strategy="SPREAD",
            max_restarts=-1,
            max_concurrency=_OPEN_AT_ONCE,
        )(EngineActor)
        found[name] = [actor.remote(engine) for _ in range(max(1, count))]
    return found
