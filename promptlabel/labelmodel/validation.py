"""What users pass in, checked whole before anything is fitted: every fault at once, each with its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlabel.errors import Fault
from promptlabel.labelmodel.base import VotesError
from promptlabel.labelmodel.patterns import FloatArray, IntArray
from promptlabel.records import ABSTAIN

SUM_TOLERANCE = 1e-6
LEAST_CLASSES = 2


def check_together(*checks: Callable[[], object]) -> None:
    """Nothing when every check passes.

    Raises:
        VotesError: the faults of all checks that failed, at once.
    """
    faults: list[Fault] = []
    for check in checks:
        try:
            check()
        except VotesError as error:
            faults.extend(error.faults)
    _raise(iter(faults))


def checked_votes(votes: ArrayLike, n_classes: int) -> IntArray:
    """The votes as an int array [n, m] with values -1..K-1.

    Raises:
        VotesError: another shape, not whole numbers, or a label outside -1..K-1.
    """
    array = _array(votes, "votes")
    _raise(_shape_faults(array))
    _raise(_label_faults(array, n_classes, "votes"))
    return array.astype(np.int64) if array.dtype.kind == "u" else array


def checked_gold(gold: ArrayLike | None, rows: int, n_classes: int) -> IntArray:
    """The gold as an int array [n], all -1 when there is none.

    Raises:
        VotesError: another length, not whole numbers, or a label outside -1..K-1.
    """
    if gold is None:
        return np.full(rows, ABSTAIN, np.int8)
    array = _array(gold, "gold")
    if array.shape != (rows,):
        raise VotesError(
            Fault(f"has shape {array.shape}; the votes have {rows} rows, so give ({rows},)", key="gold")
        )
    _raise(_label_faults(array, n_classes, "gold"))
    return array


def checked_random(random: ArrayLike | None, rows: int) -> NDArray[np.bool_]:
    """Which rows' gold was drawn at random, bool array [n]; all when not said.

    Raises:
        VotesError: another length, or not true and false.
    """
    array = np.ones(rows, bool) if random is None else np.asarray(random)
    if array.shape != (rows,) or array.dtype != bool:
        raise VotesError(Fault(f"is {array.dtype} {array.shape}; give bool ({rows},)", key="random"))
    return array


def checked_counts(counts: ArrayLike, rows: int) -> FloatArray:
    """How many traces show each pattern, float array [u].

    Raises:
        VotesError: another length, or a count that is not above zero.
    """
    if not rows:
        raise VotesError(Fault("has no rows; a label model needs one pattern or more", key="patterns"))
    array = _numbers(counts, "counts")
    if array.shape != (rows,) or not (array > 0).all():
        raise VotesError(Fault(f"give {rows} numbers above zero, one a pattern", key="counts"))
    return array


def checked_gold_counts(gold_counts: ArrayLike | None, shape: tuple[int, int]) -> IntArray:
    """Labelled traces by pattern and label, int array [u, K], all zero when there are none.

    Raises:
        VotesError: another shape, or something that is not a whole number from zero.
    """
    if gold_counts is None:
        return np.zeros(shape, np.int64)
    array = _array(gold_counts, "gold_counts")
    if array.shape != shape:
        raise VotesError(Fault(f"has shape {array.shape}; give shape {shape}", key="gold_counts"))
    if array.dtype.kind not in "iu" or (array < 0).any():
        raise VotesError(Fault("give whole numbers from zero, traces a pattern and label", key="gold_counts"))
    return array


def checked_text(text: Sequence[str] | None, rows: int) -> Sequence[str] | None:
    """The texts, one a row of votes.

    Raises:
        VotesError: another length, or something that is not a string.
    """
    if text is None:
        return None
    if isinstance(text, str):
        raise VotesError(Fault(f"is one string; give a list of {rows}", key="text"))
    if len(text) != rows:
        raise VotesError(Fault(f"has {len(text)} strings; the votes have {rows} rows", key="text"))
    odd = next((i for i, value in enumerate(text) if not isinstance(value, str)), None)
    if odd is not None:
        raise VotesError(Fault(f"row {odd} is {type(text[odd]).__name__}, not a string", key="text"))
    return text


def checked_balance(class_balance: ArrayLike | None, n_classes: int) -> FloatArray | None:
    """The class balance as a float array [K] that sums to one, or None.

    Raises:
        VotesError: fewer than two classes, another length, a share that is not positive, or another sum.
    """
    if not isinstance(n_classes, int | np.integer) or n_classes < LEAST_CLASSES:
        raise VotesError(Fault(f"is {n_classes}; a label model needs two classes or more", key="n_classes"))
    if class_balance is None:
        return None
    balance = _numbers(class_balance, "class_balance")
    _raise(_balance_faults(balance, n_classes))
    return np.asarray(balance / balance.sum())


def checked_soft(
    soft: Mapping[int, ArrayLike] | None, shape: tuple[int, int], n_classes: int
) -> dict[int, FloatArray]:
    """Soft votes by column, each a float array [n, K] whose rows sum to one or are NaN.

    Raises:
        VotesError: an unknown column, another shape, or a row that is not a distribution.
    """
    arrays = {column: _numbers(values, f"soft[{column}]") for column, values in (soft or {}).items()}
    _raise(
        fault for column, array in arrays.items() for fault in _soft_faults(column, array, shape, n_classes)
    )
    return arrays


def _array(values: ArrayLike, key: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise VotesError(Fault("has rows of different lengths; give an array", key=key)) from error


def _numbers(values: ArrayLike, key: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise VotesError(Fault("holds something that is not a number", key=key)) from error


def _raise(faults: Iterator[Fault]) -> None:
    found = tuple(faults)
    if found:
        raise VotesError(found)


def _shape_faults(array: NDArray[np.generic]) -> Iterator[Fault]:
    if array.ndim != 2:
        yield Fault(f"has {array.ndim} dimensions; give [traces, rules]", key="votes")
    elif array.shape[1] == 0:
        yield Fault("has no columns; a label model needs one rule or more", key="votes")


def _label_faults(array: NDArray[np.generic], n_classes: int, key: str) -> Iterator[Fault]:
    if array.dtype.kind not in "iu":
        yield Fault(f"holds {array.dtype}; give whole numbers, -1 for none", key=key)
        return
    if array.size == 0 or (int(array.min()) >= ABSTAIN and int(array.max()) < n_classes):
        return
    numbers = array.astype(np.int64)
    outside = (numbers < ABSTAIN) | (numbers >= n_classes)
    first = tuple(int(i) for i in np.argwhere(outside)[0])
    found = f"{int(outside.sum())} values are outside -1..{n_classes - 1}"
    yield Fault(f"{found}, the first {numbers[first]} at {list(first)}", key=key)


def _balance_faults(balance: FloatArray, n_classes: int) -> Iterator[Fault]:
    if balance.shape != (n_classes,):
        yield Fault(f"has shape {balance.shape}; give {n_classes} shares", key="class_balance")
        return
    if not (balance > 0).all():
        yield Fault("every share must be above zero", key="class_balance")
    if not abs(balance.sum() - 1.0) <= SUM_TOLERANCE:
        yield Fault(f"sums to {balance.sum():g}, not 1", key="class_balance")


def _soft_faults(column: int, array: FloatArray, shape: tuple[int, int], n_classes: int) -> Iterator[Fault]:
    key = f"soft[{column}]"
    if column not in range(shape[1]):
        yield Fault(f"there is no such column; the votes have {shape[1]}", key=key)
    if array.shape != (shape[0], n_classes):
        yield Fault(f"has shape {array.shape}; give {(shape[0], n_classes)}", key=key)
        return
    empty = np.isnan(array).all(axis=1)
    proper = (array >= 0).all(axis=1) & (abs(array.sum(axis=1) - 1.0) <= SUM_TOLERANCE)
    if not (empty | proper).all():
        yield Fault(f"row {int(np.argmin(empty | proper))} is neither a distribution nor all NaN", key=key)
