"""What a labeler said of each trace, read from rows of our own form or of what other tools write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from promptlabel.errors import Fault, nearest, raise_if_any
from promptlabel.label_sets import NONE, applying, set_members, set_name
from promptlabel.rules.spec import normal_answer

_IDS: Final = (
    "trace_id",
    "metadata.trace_id",
    "testCase.metadata.trace_id",
    "additional_metadata.trace_id",
    "sourceTraceId",
    "id",
    "sample_id",
    "name",
)
_LABELS: Final = (
    "prediction",
    "predicted",
    "response.output",
    "output.completion",
    "actual_output",
    "output.label",
    "label",
    "output",
    "answer",
)
_INSIDE: Final = ("results.results", "results", "samples", "goldens", "rows")
"""Where tools keep their rows when a file is one object: promptfoo, Inspect logs, DeepEval."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A label for one trace, None where the labeler said nothing; `probs` holds every label, where it is known.

    Where several labels may apply, `label` is the name of a set, and `probs` holds those that the labeler speaks of.
    """

    trace_id: str
    label: str | None
    probs: Mapping[str, float] | None = None


def rows_inside(document: Any) -> list[Any]:
    """The rows of a document that is one object, or the document itself as the only row."""
    for path in _INSIDE:
        found = _at(document, path)
        if isinstance(found, list):
            return found
    return [document]


def read_predictions(
    rows: Iterable[tuple[int, Any]], labels: Sequence[str], file: str, *, is_set: bool = False
) -> dict[str, Prediction]:
    """Trace id -> prediction; a label may differ from the task's in case, quotes and closing punctuation.

    Ids are looked for as ``trace_id``, in ``metadata``, and as ``id``; labels as ``prediction``, ``label`` and where
    promptfoo, Inspect and DeepEval keep what was answered. A set (`is_set`) is a list of labels, as JSON too, or their
    names with commas, or ``none``.

    Raises:
        InputError: for every row without id or label, with an unknown label, or that repeats an id with another label.
    """
    named = {normal_answer(label): label for label in labels}
    words = _SetWords(named) if is_set else _Words(named)
    found: dict[str, Prediction] = {}
    faults: list[Fault] = []
    for line, row in rows:
        try:
            prediction = _prediction(row, words)
        except _UnreadableError as error:
            faults.append(Fault(str(error), file=file, line=line))
            continue
        if found.setdefault(prediction.trace_id, prediction) != prediction:
            faults.append(
                Fault(f"{prediction.trace_id} was given another label before", file=file, line=line)
            )
    raise_if_any(faults)
    return found


class _UnreadableError(ValueError):
    """A row that says nothing usable, and why."""


def _prediction(row: Any, words: _Words) -> Prediction:
    if isinstance(row, Fault):
        raise _UnreadableError(row.message)
    name = _first(row, _IDS, str | int)
    if name is None:
        raise _UnreadableError('no trace id: a row is {"trace_id": ..., "label": ...}')
    given = row.get("probs")
    probs = words.probs(given) if given else None
    said = _first(row, _LABELS, words.kinds)
    label = words.likeliest(probs) if said is None and probs else words.label(said)
    return Prediction(str(name), label, probs)


@dataclass(frozen=True, slots=True)
class _Words:
    """How a task's labels are read from rows: normal form -> label."""

    named: Mapping[str, str]

    @property
    def kinds(self) -> Any:
        return str | int

    def label(self, said: Any) -> str | None:
        return None if said in (None, "") else self.known(said)

    def known(self, said: Any) -> str:
        known = self.named.get(normal_answer(str(said)))
        if known is None:
            raise _UnreadableError(
                f"'{str(said)[:80]}' is not a label of the task{nearest(str(said), self.named.values())}"
            )
        return known

    def likeliest(self, probs: Mapping[str, float]) -> str:
        return max(probs, key=probs.__getitem__)

    def probs(self, given: Any) -> Mapping[str, float]:
        if not isinstance(given, Mapping) or set(given) != set(self.named.values()):
            raise _UnreadableError(f"`probs` must hold every label: {', '.join(self.named.values())}")
        total = sum(given.values())
        if min(given.values()) < 0 or abs(total - 1) > 0.01:
            raise _UnreadableError(f"`probs` must be shares that sum to 1, not {total:g}")
        return {label: value / total for label, value in given.items()}


class _SetWords(_Words):
    """The same where several labels may apply."""

    @property
    def kinds(self) -> Any:
        return str | int | list

    def label(self, said: Any) -> str | None:
        if said is None or said == "":
            return None
        members = said if isinstance(said, list) else _listed(str(said))
        return set_name(map(self.known, members), tuple(self.named.values()))

    def likeliest(self, probs: Mapping[str, float]) -> str:
        return set_name(applying(probs), tuple(self.named.values()))

    def probs(self, given: Any) -> Mapping[str, float]:
        if not isinstance(given, Mapping):
            raise _UnreadableError("`probs` must be the probability of each label")
        shares = {self.known(label): value for label, value in given.items()}
        odd = [
            value for value in shares.values() if not isinstance(value, int | float) or not 0 <= value <= 1
        ]
        if odd:
            raise _UnreadableError(f"`probs` must be probabilities from 0 to 1, not {odd[0]}")
        return shares


def _listed(text: str) -> Sequence[Any]:
    """The members that a text lists: as JSON, alone or as an object's ``answer``, or with commas."""
    if text.lstrip()[:1] in ("[", "{"):
        try:
            read = orjson.loads(text)
        except ValueError:
            read = None
        found = read.get("answer") if isinstance(read, Mapping) else read
        if isinstance(found, list):
            return found
    return () if normal_answer(text) == NONE else set_members(text)


def _first(row: Any, paths: Sequence[str], kinds: Any) -> Any:
    found = (_at(row, path) for path in paths)
    return next((value for value in found if isinstance(value, kinds)), None)


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
