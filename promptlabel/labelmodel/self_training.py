"""Text evidence in rounds: the votes teach the words, both teach each other, gold counts most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptlabel.labelmodel.base import Estimator, Labelled
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
        known: which of the n rows are labelled, int array [g].
        labels: their labels, int array [g].
        random: which of them were drawn at random, bool array [g].
    """

    corpus: Corpus
    patterns: Patterns
    inverse: IntArray
    known: NDArray[np.int64]
    labels: NDArray[np.int64]
    random: NDArray[np.bool_]

    def gold(self, evidence: FloatArray | None = None) -> Labelled:
        """The labelled rows, with their text evidence [n, K] if given."""
        text = None if evidence is None else evidence[self.known]
        return Labelled(self.patterns.take(self.inverse[self.known], text), self.labels, self.random)

    def without(self, held: NDArray[np.int64]) -> Lesson:
        """The same traces with the labels at `held` (positions in `known`) unknown."""
        kept = np.setdiff1d(np.arange(len(self.known)), held)
        gold = (self.known[kept], self.labels[kept], self.random[kept])
        return Lesson(self.corpus, self.patterns, self.inverse, *gold)


def self_train(lesson: Lesson, make: Callable[[], Estimator], balance: FloatArray) -> TextEvidence:
    """The evidence after some rounds, in each of which the words learn from votes, gold and earlier words.

    Without gold there is no such round: nothing would say how far to trust the words.
    """
    covered = (lesson.patterns.votes_per_row[lesson.inverse] > 0).astype(float)
    posterior = make().fit(lesson.patterns, lesson.gold(), balance).predict_proba(lesson.patterns)
    evidence = learn_evidence(lesson.corpus, _targets(lesson, posterior[lesson.inverse] * covered[:, None]))
    for _ in range(ROUNDS if len(lesson.known) else 0):
        known = evidence.of(lesson.corpus)
        stack = make().fit(lesson.patterns, lesson.gold(known), balance)
        posterior = stack.predict_proba(lesson.patterns.take(lesson.inverse, known))
        evidence = learn_evidence(lesson.corpus, _targets(lesson, posterior))
    return evidence


def unseen_evidence(lesson: Lesson, make: Callable[[], Estimator], balance: FloatArray) -> FloatArray:
    """Float array [g, K]: the evidence of each labelled text, self-trained without its label."""
    evidence = np.empty((len(lesson.known), lesson.patterns.n_classes))
    for held, _ in folds(lesson.labels):
        learnt = self_train(lesson.without(held), make, balance)
        rows = lesson.known[held]
        evidence[held] = learnt.of(Corpus(lesson.corpus.words[rows], lesson.corpus.buckets[rows]))
    return evidence


def _targets(lesson: Lesson, posterior: FloatArray) -> FloatArray:
    targets = posterior.copy()
    targets[lesson.known] = GOLD_WEIGHT * np.eye(posterior.shape[1])[lesson.labels]
    return targets
