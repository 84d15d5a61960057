"""Text evidence in rounds: the votes teach the words, both teach each other, gold counts most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlabel.labelmodel.base import Estimator, GoldRows, Labelled
from promptlabel.labelmodel.cross_fitting import folds
from promptlabel.labelmodel.patterns import FloatArray, IntArray, Patterns
from promptlabel.labelmodel.text_evidence import Corpus, TextEvidence, learn_evidence

ROUNDS = 2
GOLD_WEIGHT = 10.0


@dataclass(frozen=True)
class Lesson:
    """Traces to learn words from.

    Attributes:
        corpus: their texts, n rows.
        patterns: the distinct vote patterns of all traces.
        inverse: the pattern of each of the n rows.
        gold: which of the n rows are labelled, and how.
    """

    corpus: Corpus
    patterns: Patterns
    inverse: IntArray
    gold: GoldRows

    def labelled(self, evidence: FloatArray | None = None) -> Labelled:
        """The labelled rows, with their part of the text evidence [n, K] if given."""
        text = None if evidence is None else evidence[self.gold.rows]
        return self.gold.labelled(self.patterns, self.inverse, text)

    def keeping(self, kept: NDArray[np.int64]) -> Lesson:
        """The same traces with only the labels at `kept` (positions in `gold`) known."""
        gold = GoldRows(self.gold.rows[kept], self.gold.labels[kept], self.gold.random[kept])
        return Lesson(self.corpus, self.patterns, self.inverse, gold)


def self_train(lesson: Lesson, make: Callable[[], Estimator], balance: FloatArray) -> TextEvidence:
    """The evidence after some rounds, in each of which the words learn from votes, gold and earlier words.

    Without gold there is no such round: nothing would say how far to trust the words.
    """
    covered = (lesson.patterns.votes_per_row[lesson.inverse] > 0).astype(float)
    posterior = make().fit(lesson.patterns, lesson.labelled(), balance).predict_proba(lesson.patterns)
    evidence = learn_evidence(lesson.corpus, _targets(lesson, posterior[lesson.inverse] * covered[:, None]))
    for _ in range(ROUNDS if len(lesson.gold.rows) else 0):
        known = evidence.of(lesson.corpus)
        stack = make().fit(lesson.patterns, lesson.labelled(known), balance)
        posterior = stack.predict_proba(lesson.patterns.take(lesson.inverse, known))
        evidence = learn_evidence(lesson.corpus, _targets(lesson, posterior))
    return evidence


def unseen_evidence(lesson: Lesson, make: Callable[[], Estimator], balance: FloatArray) -> FloatArray:
    """Float array [g, K]: the evidence of each labelled text, self-trained without its label."""
    evidence = np.empty((len(lesson.gold.rows), lesson.patterns.n_classes))
    for held, kept in folds(lesson.gold.labels):
        learnt = self_train(lesson.keeping(kept), make, balance)
        rows = lesson.gold.rows[held]
        evidence[held] = learnt.of(Corpus(lesson.corpus.words[rows], lesson.corpus.buckets[rows]))
    return evidence


def _targets(lesson: Lesson, posterior: FloatArray) -> FloatArray:
    targets = posterior.copy()
    targets[lesson.gold.rows] = GOLD_WEIGHT * np.eye(posterior.shape[1])[lesson.gold.labels]
    return targets
