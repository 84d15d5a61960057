"""The label model users meet: votes, and gold and text where there are any, to calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptlabel.errors import Fault
from promptlabel.labelmodel import fitting
from promptlabel.labelmodel.anchored import Anchored
from promptlabel.labelmodel.balance import ClassBalance
from promptlabel.labelmodel.base import GoldRows, Labelled, VotesError
from promptlabel.labelmodel.fitting import Fitted, Method
from promptlabel.labelmodel.guard import Guard
from promptlabel.labelmodel.patterns import FloatArray, IntArray, Patterns, group
from promptlabel.labelmodel.report import BY_LABEL, IN_ORDER, Report
from promptlabel.labelmodel.self_training import Lesson, self_train, unseen_evidence
from promptlabel.labelmodel.text_evidence import (
    TextEvidence,
    Vectorizer,
    in_words,
    read_corpus,
    study_rows,
)
from promptlabel.labelmodel.validation import (
    check_together,
    checked_balance,
    checked_counts,
    checked_gold,
    checked_gold_counts,
    checked_random,
    checked_soft,
    checked_text,
    checked_votes,
)

PIECE = 20_000
READING = ("auto", "anchored")

BoolArray = NDArray[np.bool_]
SoftVotes = Mapping[int, ArrayLike]


@dataclass(frozen=True)
class _Reader:
    """What turns later texts into evidence."""

    vectorizer: Vectorizer
    evidence: TextEvidence

    def read(self, text: Sequence[str]) -> FloatArray:
        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)] or [text]
        return np.concatenate([self.evidence.of(in_words(piece, self.vectorizer)) for piece in pieces])


class LabelModel:
    """Votes of many rules turned into one probability a class a trace.

    Args:
        n_classes: K, two or more.
        method: "auto" lets cross-validated gold choose; the others are taken as they are.
        class_balance: K shares that sum to one; without them they are read off random gold, else uniform.
        ordered: whether the classes are in order; then the gate and `report` count near misses less than far ones.

    Attributes:
        chosen: the estimator that was taken.
        report: what was compared, the figures and why, ready for JSON.

    Raises:
        VotesError: a ValueError that lists what is wrong with the arguments.
    """

    chosen: str
    report: Report

    def __init__(
        self,
        n_classes: int,
        method: Method = "auto",
        class_balance: ArrayLike | None = None,
        *,
        ordered: bool = False,
    ) -> None:
        if method not in get_args(Method):
            raise VotesError(Fault(f"{method!r} is none of {', '.join(get_args(Method))}", key="method"))
        self.n_classes = n_classes
        self.method = method
        self._scoring = IN_ORDER if ordered else BY_LABEL
        self._balance = ClassBalance(checked_balance(class_balance, n_classes), n_classes)
        self._fitted: Fitted | None = None
        self._reader: _Reader | None = None

    def fit(
        self,
        votes: ArrayLike,
        gold: ArrayLike | None = None,
        text: Sequence[str] | None = None,
        soft: SoftVotes | None = None,
        random: ArrayLike | None = None,
    ) -> Self:
        """Itself, fitted.

        Args:
            votes: int array [n, m], -1 = abstain.
            gold: int array [n], -1 = unknown.
            text: n strings; "auto" and "anchored" learn what their words say and use it as further evidence.
            soft: for some columns of `votes`, distributions [n, K] that replace its votes, NaN rows for none.
            random: bool array [n], gold drawn at random, from which alone the class balance is read; default all.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        rows = checked_votes(votes, self.n_classes)
        if not len(rows):
            raise VotesError(Fault("has no rows; a label model needs one trace or more", key="votes"))
        check_together(
            lambda: checked_gold(gold, len(rows), self.n_classes),
            lambda: checked_random(random, len(rows)),
            lambda: checked_text(text, len(rows)),
            lambda: checked_soft(soft, rows.shape, self.n_classes),
        )
        patterns, inverse = group(rows, self.n_classes, checked_soft(soft, rows.shape, self.n_classes))
        gold_rows = _gold_rows(
            checked_gold(gold, len(rows), self.n_classes), checked_random(random, len(rows)), inverse, text
        )
        self._reader = None
        if text is not None and self.method in READING and any(map(str.strip, text)):
            return self._fit(patterns, self._read(text, patterns, inverse, gold_rows))
        return self._fit(patterns, gold_rows.labelled(patterns, inverse))

    def fit_patterns(
        self, patterns: ArrayLike, counts: ArrayLike, gold_counts: ArrayLike | None = None
    ) -> Self:
        """Itself, fitted on stored distinct rows of votes, in a time that does not depend on the traces.

        Args:
            patterns: int array [u, m], -1 = abstain.
            counts: u numbers of traces.
            gold_counts: int array [u, K], labelled traces by pattern and label.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        rows = checked_votes(patterns, self.n_classes)
        distinct = Patterns(rows, checked_counts(counts, len(rows)), self.n_classes)
        labelled = checked_gold_counts(gold_counts, (len(rows), self.n_classes))
        cells = np.repeat(np.arange(labelled.size), labelled.ravel())
        self._reader = None
        return self._fit(distinct, Labelled(distinct.take(cells // self.n_classes), cells % self.n_classes))

    def predict_proba(
        self, votes: ArrayLike, text: Sequence[str] | None = None, soft: SoftVotes | None = None
    ) -> FloatArray:
        """Float array [n, K], rows sum to one. Text is used where the model was fitted with text.

        Raises:
            VotesError: a ValueError that lists what is wrong.
        """
        fitted = self._ready()
        rows = checked_votes(votes, self.n_classes)
        check_together(
            lambda: checked_text(text, len(rows)), lambda: checked_soft(soft, rows.shape, self.n_classes)
        )
        if rows.shape[1] != self._n_rules:
            raise VotesError(Fault(f"has {rows.shape[1]} columns; fitted on {self._n_rules}", key="votes"))
        patterns, inverse = group(rows, self.n_classes, checked_soft(soft, rows.shape, self.n_classes))
        if text is None or self._reader is None:
            return fitted.predict_proba(patterns).take(inverse, axis=0)
        return fitted.predict_proba(patterns.take(inverse, self._reader.read(text)))

    def _fit(self, patterns: Patterns, gold: Labelled) -> Self:
        self._n_rules = patterns.n_rules
        self._fitted = fitting.fit(self.method, patterns, gold, self._balance, self._scoring)
        self.chosen, self.report = self._fitted.name, self._fitted.report
        return self

    def _read(self, text: Sequence[str], patterns: Patterns, inverse: IntArray, gold: GoldRows) -> Labelled:
        """The labelled rows with the evidence of their texts; what was learnt from all texts is kept."""
        rows = study_rows(text, gold.rows)
        corpus, vectorizer = read_corpus([text[row] for row in rows])
        studied = GoldRows(np.searchsorted(rows, gold.rows), gold.labels, gold.random)
        lesson = Lesson(corpus, patterns, inverse[rows], studied)
        balance, known = self._balance(lesson.labelled()), self._balance.known(lesson.labelled())

        def stack() -> Anchored:
            return Anchored(lambda: Guard(known))

        self._reader = _Reader(vectorizer, self_train(lesson, stack, balance))
        return gold.labelled(patterns, inverse, unseen_evidence(lesson, stack, balance))

    def _ready(self) -> Fitted:
        if self._fitted is None:
            raise VotesError("the label model is not fitted yet: call fit first")
        return self._fitted


def _gold_rows(labels: IntArray, drawn: BoolArray, inverse: IntArray, text: Sequence[str] | None) -> GoldRows:
    """The labelled rows, in an order that does not depend on the order of the traces."""
    known = np.flatnonzero(labels >= 0)
    words = np.zeros(len(known)) if text is None else np.array([text[row] for row in known.tolist()])
    rows = known[np.lexsort((words, drawn[known], labels[known], inverse[known]))]
    return GoldRows(rows, labels[rows].astype(np.int64), drawn[rows])
