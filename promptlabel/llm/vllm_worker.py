"""Runs `vllm.LLM` for another process: requests as OpenAI's servers take them come in, completions go out.

It is run by path, by whichever interpreter has vLLM, and imports nothing of promptlabel: vLLM's pins and those of the
rest cannot live in one environment. Its one argument is the JSON object of `vllm.LLM`'s own arguments. Frames are a
length of four bytes and as many bytes of JSON:

    in   {"id": 7, "path": "/chat/completions" or "/completions", "body": {...}}
    out  {"ready": {...}} once, then {"id": 7, "status": 200, "body": {...}} for each, in the order they finish

New requests join those that are under way (continuous batching). The process ends when its input does, whatever it is
doing then, so that it never outlives who started it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from typing import Any, BinaryIO

_LENGTH = 4
_CPU_BLOCK = 32
_IMPOSSIBLE = -9999.0


class Pipes:
    """Frames from stdin, frames to what was stdout; whatever else is printed goes to stderr."""

    def __init__(self) -> None:
        self.arrived: queue.Queue[dict[str, Any]] = queue.Queue()
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        threading.Thread(target=self._read, daemon=True).start()

    def send(self, frame: dict[str, Any]) -> None:
        """Nothing; the frame is on its way."""
        content = json.dumps(frame).encode()
        self._out.write(len(content).to_bytes(_LENGTH, "big") + content)
        self._out.flush()

    def _read(self) -> None:
        with os.fdopen(0, "rb", closefd=False) as source:
            while len(length := source.read(_LENGTH)) == _LENGTH:
                content = source.read(int.from_bytes(length, "big"))
                self.arrived.put(json.loads(content))
        os._exit(0)


class Engine:
    """One loaded model, and the requests it is working on."""

    def __init__(self, arguments: dict[str, Any], pipes: Pipes) -> None:
        from vllm import LLM

        self._pipes = pipes
        self._llm = LLM(**{**_defaults(), **arguments})
        self._open: dict[str, _Request] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """What the other side may want to know of the model."""
        return {"max_model_len": self._llm.model_config.max_model_len}

    def serve(self) -> None:
        """Nothing, ever: takes what has arrived, and lets the engine do one step."""
        while True:
            for frame in self._arrived():
                self._take(frame)
            if self._llm.llm_engine.has_unfinished_requests():
                for output in self._llm.llm_engine.step():
                    self._finish(output)

    def _arrived(self) -> list[dict[str, Any]]:
        frames = [] if self._open else [self._pipes.arrived.get()]
        while not self._pipes.arrived.empty():
            frames.append(self._pipes.arrived.get())
        return frames

    def _take(self, frame: dict[str, Any]) -> None:
        form = _Chat if frame["path"] == "/chat/completions" else _Completion
        request = form(frame["id"], frame["body"])
        try:
            waiting = [_outer_name(name) for name in request.enqueue(self._llm)]
        except Exception as error:  # noqa: BLE001 - one bad request must not end the others
            self._pipes.send({"id": request.number, "status": 400, "body": _refusal(error)})
            return
        request.places = {name: place for place, name in enumerate(waiting)}
        self._open.update(dict.fromkeys(waiting, request))

    def _finish(self, output: Any) -> None:
        if not output.finished:
            return
        request = self._open.pop(output.request_id)
        request.outputs[request.places[output.request_id]] = output
        if len(request.outputs) == len(request.places):
            self._pipes.send({"id": request.number, "status": 200, "body": request.completion()})


class _Request(ABC):
    """A request under way; its outputs by their place in it."""

    def __init__(self, number: int, body: dict[str, Any]) -> None:
        self.number = number
        self.body = body
        self.places: dict[str, int] = {}
        self.outputs: dict[int, Any] = {}

    @abstractmethod
    def enqueue(self, llm: Any) -> list[str]:
        """The engine's names of what was put in line."""

    @abstractmethod
    def choice(self, place: int, output: Any) -> dict[str, Any]:
        """The choice of one output."""

    def completion(self) -> dict[str, Any]:
        """The answer as OpenAI's servers give it."""
        outputs = [self.outputs[place] for place in sorted(self.outputs)]
        return {
            "choices": [self.choice(place, output) for place, output in enumerate(outputs)],
            "usage": {
                "prompt_tokens": sum(len(output.prompt_token_ids) for output in outputs),
                "completion_tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
                "prompt_tokens_details": {
                    "cached_tokens": sum(output.num_cached_tokens or 0 for output in outputs)
                },
            },
        }


class _Chat(_Request):
    def enqueue(self, llm: Any) -> list[str]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        body = self.body
        form = body.get("response_format")
        schema = StructuredOutputsParams(json=form["json_schema"]["schema"]) if form else None
        parameters = SamplingParams(
            temperature=body["temperature"],
            max_tokens=body["max_tokens"],
            structured_outputs=schema,
        )
        return list(llm.enqueue_chat([body["messages"]], [parameters], use_tqdm=False))

    def choice(self, place: int, output: Any) -> dict[str, Any]:
        said = output.outputs[0]
        return {
            "index": place,
            "message": {"role": "assistant", "content": said.text},
            "finish_reason": said.finish_reason,
        }


class _Completion(_Request):
    def enqueue(self, llm: Any) -> list[str]:
        from vllm import SamplingParams

        body = self.body
        parameters = SamplingParams(
            temperature=body["temperature"],
            max_tokens=body["max_tokens"],
            logprobs=body["logprobs"],
            logprob_token_ids=body["logprob_token_ids"],
        )
        prompts = [{"prompt_token_ids": tokens} for tokens in body["prompt"]]
        return list(llm.enqueue(prompts, [parameters] * len(prompts), use_tqdm=False))

    def choice(self, place: int, output: Any) -> dict[str, Any]:
        said = output.outputs[0]
        shown = said.logprobs[0].items()
        top = {f"token_id:{token}": max(logprob.logprob, _IMPOSSIBLE) for token, logprob in shown}
        return {"index": place, "text": said.text, "logprobs": {"top_logprobs": [top]}}


def _defaults() -> dict[str, Any]:
    """VLLM's defaults, but that the weights' folder does not choose how is sampled; on a CPU, small cache blocks.

    With a CPU's own default of 128 tokens a short shared prefix would never enter the prefix cache.
    """
    from vllm.platforms import current_platform

    blocks = {"block_size": _CPU_BLOCK} if current_platform.is_cpu() else {}
    return {"generation_config": "vllm", **blocks}


def _outer_name(name: str) -> str:
    """The name that outputs bear; the one in line ends with a dash and random characters."""
    return name.rpartition("-")[0] or name


def _refusal(error: Exception) -> dict[str, Any]:
    too_long = getattr(error, "parameter", None) == "input_tokens"
    code = "context_length_exceeded" if too_long else type(error).__name__
    return {"error": {"message": str(error)[:500], "code": code}}


def main() -> None:
    """Nothing, ever; a fault of loading is one frame that says so, and the exit code 1."""
    pipes = Pipes()
    try:
        engine = Engine(json.loads(sys.argv[1]), pipes)
        pipes.send({"ready": engine.facts})
        engine.serve()
    except BaseException as error:  # noqa: BLE001 - whatever it was, the other side is told
        pipes.send({"failed": f"{type(error).__name__}: {error}"[:2000]})
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
