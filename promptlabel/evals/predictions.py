"""What a labeler said of each trace, read from rows of our own form or of what other tools write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from promptlabel.errors import Fault, nearest, raise_if_any
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
    """A label for one trace, None where the labeler said nothing; `probs` holds every label, where it is known."""

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
    rows: Iterable[tuple[int, Any]], labels: Sequence[str], file: str
) -> dict[str, Prediction]:
    """Trace id -> prediction; a label may differ from the task's in case, quotes and closing punctuation.

    Ids are looked for as ``trace_id``, in ``metadata``, and as ``id``; labels as ``prediction``, ``label`` and where
    promptfoo, Inspect and DeepEval keep what was answered.

    Raises:
        InputError: for every row without id or label, with an unknown label, or that repeats an id with another label.
    """
    named = {normal_answer(label): label for label in labels}
    found: dict[str, Prediction] = {}
    faults: list[Fault] = []
    for line, row in rows:
        try:
            prediction = _prediction(row, named)
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


def _prediction(row: Any, named: Mapping[str, str]) -> Prediction:
    if isinstance(row, Fault):
        raise _UnreadableError(row.message)
    name = _first(row, _IDS)
    if not isinstance(name, str | int):
        raise _UnreadableError('no trace id: a row is {"trace_id": ..., "label": ...}')
    probs = row.get("probs")
    label = _first(row, _LABELS)
    if label is None and isinstance(probs, Mapping) and probs:
        label = max(probs, key=probs.__getitem__)
    return Prediction(str(name), _known(label, named), _checked(probs, named) if probs else None)


def _known(label: Any, named: Mapping[str, str]) -> str | None:
    if label is None or label == "":
        return None
    known = named.get(normal_answer(str(label)))
    if known is None:
        raise _UnreadableError(
            f"'{str(label)[:80]}' is not a label of the task{nearest(str(label), named.values())}"
        )
    return known


def _checked(probs: Any, named: Mapping[str, str]) -> Mapping[str, float]:
    if not isinstance(probs, Mapping) or set(probs) != set(named.values()):
        raise _UnreadableError(f"`probs` must hold every label: {', '.join(named.values())}")
    total = sum(probs.values())
    if min(probs.values()) < 0 or abs(total - 1) > 0.01:
        raise _UnreadableError(f"`probs` must be shares that sum to 1, not {total:g}")
    return {label: value / total for label, value in probs.items()}


def _first(row: Any, paths: Sequence[str]) -> Any:
    found = (_at(row, path) for path in paths)
    return next((value for value in found if isinstance(value, str | int)), None)


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value
