"""A model that follows a script: deterministic, without weights or network, on the same path as a real one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import Field, RootModel, ValidationError, field_validator, model_validator

from promptlabel.errors import InputError, ModelError
from promptlabel.label_sets import set_members
from promptlabel.llm.failures import PERMANENT
from promptlabel.llm.pricing import FREE, token_price
from promptlabel.records import Answer, Decode, Question, Usage
from promptlabel.settings import ModelSettings
from promptlabel.strict_yaml import StrictModel, faults_of, load_yaml, read_text

_BYTES_PER_TOKEN: Final = 4


class ScriptedUsage(StrictModel):
    """The tokens a scripted server reports."""

    input: int = Field(ge=0)
    output: int = Field(ge=0)


class Line(StrictModel):
    """One line of a script: to which prompts, how often, and what is replied.

    Attributes:
        match: a regular expression looked for in the prompt; every prompt where it is left out.
        times: how often the line is used before later lines get their turn; None is always.
        answer: one of the question's answers, sent in the form the question asks for.
        text: sent as it stands.
        distribution: probabilities of answers; what is missing to 1 is mass outside them.
        error: the cause word of a failure, ``rate_limit`` for one.
        usage: the tokens reported; by default a token for every four bytes.
    """

    match: str = ""
    times: int | None = Field(default=None, ge=1)
    answer: str | None = None
    text: str | None = None
    distribution: dict[str, float] | None = None
    error: str | None = None
    usage: ScriptedUsage | None = None

    @field_validator("match")
    @classmethod
    def _is_a_pattern(cls, match: str) -> str:
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return match

    @model_validator(mode="after")
    def _replies_once(self) -> Line:
        given = [self.answer, self.text, self.distribution, self.error]
        if sum(part is not None for part in given) != 1:
            raise ValueError("give exactly one of answer, text, distribution, error")
        return self


class Script(RootModel[list[Line]]):
    """The lines of a script; the first that matches a prompt replies."""


@dataclass(slots=True)
class _Cue:
    line: Line
    pattern: re.Pattern[str]
    left: int | None

    def takes(self, prompt: str) -> bool:
        if self.left == 0 or not self.pattern.search(prompt):
            return False
        if self.left is not None:
            self.left -= 1
        return True


class ScriptedClient:
    """A model that replies by its script.

    Args:
        name: the model's name in the project.
        settings: `settings.model` is the path of the script, YAML or JSON; not read where `script` is given.
        script: the lines, from code.

    Raises:
        InputError: every fault of the script, with file, line and key.
    """

    decodes: Sequence[Decode] = ("json", "logprobs", "text")

    def __init__(self, name: str, settings: ModelSettings, script: Sequence[Line] | None = None) -> None:
        self.name = name
        self._settings = settings
        self._price = token_price(settings) or FREE
        lines = read_script(Path(settings.model or "")) if script is None else script
        self._cues = [_Cue(line, re.compile(line.match), line.times) for line in lines]

    async def ask(self, question: Question) -> Answer:
        """The reply of the first line that matches the prompt.

        Raises:
            ModelError: the line says so, or no line matches (cause ``unscripted``).
        """
        line = next((cue.line for cue in self._cues if cue.takes(question.prompt)), None)
        if line is None:
            raise ModelError("no line of the script matches the prompt", cause="unscripted")
        if line.error is not None:
            raise ModelError("the script says so", cause=line.error, permanent=line.error in PERMANENT)
        usage = Usage(line.usage.input, line.usage.output) if line.usage else _usage(question)
        text, distribution, outside = _reply(line, question)
        return Answer(text, distribution, outside, usage, self.price(usage))

    def count_tokens(self, question: Question) -> Usage:
        """A token for every four bytes of the prompt, and the model's `max_tokens`."""
        return Usage(_usage(question).input_tokens, self._settings.max_tokens)

    def price(self, usage: Usage) -> float:
        """US dollars by the model's `price`; nothing without one."""
        return self._price.usd(usage)

    async def close(self) -> None:
        """Nothing."""


def read_script(path: Path) -> tuple[Line, ...]:
    """The lines of a script file.

    Raises:
        InputError: every fault, with file, line and key.
    """
    document = load_yaml(read_text(path), str(path))
    try:
        return tuple(Script.model_validate(document.data).root)
    except ValidationError as error:
        raise InputError(faults_of(error, document, Script)) from None


def _reply(line: Line, question: Question) -> tuple[str, Mapping[str, float] | None, float | None]:
    if line.distribution is not None:
        total = sum(line.distribution.get(answer, 0.0) for answer in question.answers)
        shares = {answer: line.distribution.get(answer, 0.0) / (total or 1.0) for answer in question.answers}
        return max(shares, key=shares.__getitem__), shares if total else None, max(0.0, 1.0 - total)
    if line.text is not None:
        return line.text, None, None
    answer = str(line.answer)
    if question.decode == "logprobs":
        return answer, {one: float(one == answer) for one in question.answers}, 0.0
    said = list(set_members(answer)) if question.several else answer
    return (orjson.dumps({"answer": said}).decode() if question.decode == "json" else answer), None, None


def _usage(question: Question) -> Usage:
    size = len(question.prompt.encode("utf-8", "surrogatepass"))
    return Usage(size // _BYTES_PER_TOKEN + 1, 1)
