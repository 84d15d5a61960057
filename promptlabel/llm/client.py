"""What every model looks like from inside: a question in, an answer or a ModelError out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from promptlabel.records import Answer, Decode, Question, Usage


class Request(NamedTuple):
    """One request to an OpenAI-shaped server: the path after ``/v1``, and the JSON object to post."""

    path: str
    body: Mapping[str, Any]


class Client(Protocol):
    """One model. `ask` sends one request and never retries; retrying is the sender's job alone."""

    decodes: Sequence[Decode]
    """The ways this model can answer, best first; a rule that asks for none gets the first."""

    async def ask(self, question: Question) -> Answer:
        """The model's answer, its tokens counted and priced.

        Raises:
            ModelError: with a stable cause; `permanent` when no question of this model can succeed.
        """
        ...

    def count_tokens(self, question: Question) -> Usage:
        """The tokens the request will take and those it will likely return, counted offline."""
        ...

    def price(self, usage: Usage) -> float:
        """US dollars for the usage."""
        ...

    async def close(self) -> None:
        """Nothing; connections and memory are given back."""
        ...


@runtime_checkable
class CarefulClient(Client, Protocol):
    """A paid model: it can bound what a request will cost at once, and put an ill-formed answer right."""

    def ceiling(self, question: Question) -> Usage:
        """More tokens than the request can take, found in microseconds."""
        ...

    def accepts(self, question: Question, answer: Answer) -> bool:
        """Whether the answer has the form that was asked for."""
        ...

    def pause(self) -> float:
        """Seconds until the provider will take another request, as its last answer said; told once."""
        ...

    def correction(self, question: Question, answer: Answer) -> Question:
        """The question that shows the model what was wrong with its answer; it is no longer than it need be."""
        ...

    async def correct(self, correction: Question) -> Answer:
        """The answer to a correction, by one request.

        Raises:
            ModelError: as `ask` does.
        """
        ...


@runtime_checkable
class HostedModel(Client, Protocol):
    """A model behind an address that may want a key and money."""

    name: str

    @property
    def priced(self) -> bool:
        """Whether the model's price is known; `price` is 0 where it is not."""
        ...

    def missing_key(self) -> str | None:
        """The environment variable that should hold the key and does not; None where all is well."""
        ...
