"""llama.cpp in this process: weights in, tokens and exact next-token log-probabilities out."""

from __future__ import annotations

import http.client
import math
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import orjson

from promptlabel.errors import MissingExtraError, ModelError
from promptlabel.llm.scoring import Reading, Tokens
from promptlabel.records import Usage

SLOTS: Final = 2
"""Texts evaluated at once. Two share a batch well; a third and fourth gained nothing on 2 cores and would
each evaluate a rule's shared beginning once more."""

WINDOW: Final = 4096
"""The most tokens of one text; the cache has room for that in every slot."""

_MOST_THREADS = 4
_SPINS_BEFORE_SLEEP = "2000"
_FORCE = 100.0
_SHOWN = 64
_UNLIKELIER_THAN_SHOWN = 1e-45


def require_llamacpp() -> None:
    """Nothing where llama.cpp can be loaded.

    Raises:
        MissingExtraError: xllamacpp is not installed.
    """
    if find_spec("xllamacpp") is None:
        raise MissingExtraError("the embedded model's runtime", "pip install 'promptlabel[local]'")


def default_threads() -> int:
    """Threads for one evaluation: every core up to four.

    On 2 free cores two threads gave 7.4-9.5 votes/s and one 4.2-5.3; on 2 cores fully taken by others they
    gave 2.8 and 2.9. More than four have little to share in the small matrices of the models meant here.
    """
    return min(os.cpu_count() or 1, _MOST_THREADS)


class LlamaCpp:
    """A loaded model; methods block, and may be called from as many threads as there are slots.

    Args:
        weights: a GGUF file.
        threads: of one evaluation; None takes `default_threads`.

    Attributes:
        window: the most tokens of one text with its answer; less than `WINDOW` where the model knows less.

    Raises:
        ModelError: the file cannot be loaded.
    """

    def __init__(self, weights: Path, threads: int | None) -> None:
        runtime = _runtime()
        self._key = secrets.token_hex()
        parameters = _parameters(runtime, weights, threads or default_threads(), self._key)
        try:
            self._server = runtime.Server(parameters)
        except RuntimeError as error:
            raise ModelError(
                f"{weights} cannot be loaded: {error}", cause="bad_weights", permanent=True
            ) from None
        self._address = self._server.listening_address.removeprefix("http://")
        self.window = min(WINDOW, self._request("GET", "/props")["default_generation_settings"]["n_ctx"])

    def tokens(self, text: str, *, beginning: bool = False) -> Tokens:
        """The text's tokens, after the model's own opening token for the beginning of a text.

        What looks like a control token in the text is text.
        """
        body = {"content": text, "add_special": beginning, "parse_special": False}
        return tuple(self._request("POST", "/tokenize", body)["tokens"])

    def read(self, text: Tokens, branchings: Mapping[Tokens, Tokens], slot: int) -> Reading:
        """The log-probabilities of what may follow at each branching after the text, evaluated in the slot."""
        read = {begun: self._next_token(text + begun, wanted, slot) for begun, wanted in branchings.items()}
        usage = _total([usage for _, usage in read.values()])
        return Reading({begun: logprobs for begun, (logprobs, _) in read.items()}, usage)

    def close(self) -> None:
        """Nothing; the model's memory is free."""
        del self._server

    def _next_token(self, text: Tokens, wanted: Tokens, slot: int) -> tuple[dict[int, float], Usage]:
        """The log-probability of each wanted token, under the unmodified model.

        The likeliest wanted token is forced, and llama.cpp then states its unmodified log-probability beside
        those of the likeliest tokens. A wanted token that is not among these follows from its ratio to the
        forced one, which a second look at the same, cached, text gives.
        """
        body = {
            "prompt": list(text),
            "id_slot": slot,
            "n_predict": 1,
            "samplers": ["temperature"],
            "logit_bias": [[token, _FORCE] for token in wanted],
        }
        completion = self._complete({**body, "temperature": 0.0, "n_probs": _SHOWN})
        forced, logprobs = _shown(completion, "logprob", "top_logprobs")
        if not logprobs.keys() >= set(wanted):
            again = self._complete(
                {**body, "temperature": 1.0, "n_probs": len(wanted), "post_sampling_probs": True}
            )
            logprobs = _anchored(forced, logprobs[forced], _shown(again, "prob", "top_probs")[1], wanted)
        return {token: logprobs[token] for token in wanted}, _usage(completion)

    def _complete(self, body: Mapping[str, object]) -> Any:
        completion = self._server.handle_completions(body)
        if "error" in completion:
            raise ModelError(str(completion["error"]["message"]), cause="bad_request")
        return completion

    def _request(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self._address)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
            connection.request(method, path, orjson.dumps(body), headers)
            return orjson.loads(connection.getresponse().read())
        finally:
            connection.close()


def _runtime() -> ModuleType:
    """The library, told to let waiting threads sleep soon.

    With OpenMP's own 300,000 spins, two threads on two cores that others used as well gave 1.5-1.8 votes/s,
    with 2,000 spins 2.8; on free cores the difference was within the noise.
    """
    require_llamacpp()
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS_BEFORE_SLEEP)
    import xllamacpp

    module: ModuleType = xllamacpp
    return module


def _parameters(runtime: ModuleType, weights: Path, threads: int, key: str) -> object:
    parameters = runtime.CommonParams()
    parameters.model.path = str(weights)
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * WINDOW
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    parameters.api_keys = [key]
    parameters.cache_ram_mib = 0
    parameters.warmup = False
    parameters.ui = False
    parameters.verbosity = -1
    return parameters


def _shown(completion: Any, own: str, top: str) -> tuple[int, dict[int, float]]:
    """The token that was generated, and the figure of each token that is shown."""
    token = completion["choices"][0]["logprobs"]["content"][0]
    shown: Iterable[Any] = [*token[top], token]
    return token["id"], {item["id"]: item[own] for item in shown}


def _anchored(
    forced: int, logprob: float, odds: Mapping[int, float], wanted: Iterable[int]
) -> dict[int, float]:
    return {
        token: logprob + math.log(max(odds.get(token, 0.0), _UNLIKELIER_THAN_SHOWN) / odds[forced])
        for token in wanted
    }


def _usage(completion: Any) -> Usage:
    usage = completion["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return Usage(usage["prompt_tokens"], usage["completion_tokens"], cached)


def _total(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages),
    )
