"""What the words of a text say about its class: naive Bayes on TF-IDF, taught by soft labels.

Every text is judged by a table learnt without it: texts fall into buckets by a checksum of their
content, and each bucket has a table learnt from the others. So the evidence of a text that was
learnt from is as honest as that of a new one, copies included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from promptlabel.labelmodel.patterns import FloatArray

BUCKETS = 5
WORD_OR_SIGN = r"(?u)\w+|[^\w\s]"
MOST_WORDS = 20_000
MOST_TEXTS = 50_000
MOST_CHARACTERS = 5_000_000
PIECE_LENGTHS = (2, 4)
SMOOTHING = 0.1
LARGEST_SCALE = 10.0


class Vectorizer(Protocol):
    """Texts to sparse rows of word weights."""

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Sparse [n, words]."""
        ...


@dataclass(frozen=True)
class Corpus:
    """Texts as TF-IDF rows [n, words], with the bucket of each [n]."""

    words: sp.csr_array
    buckets: NDArray[np.int64]


def read_corpus(texts: Sequence[str]) -> tuple[Corpus, Vectorizer]:
    """The corpus of `texts`, and the vectorizer fitted on it that turns later texts into the same words.

    Words, pairs of words and signs count, the 20,000 most frequent ones, and as many pieces of words of two to four
    characters, which catch spellings and endings; pieces are left out where the texts are so long that counting them
    would take minutes.
    """
    from sklearn.pipeline import FeatureUnion

    kinds = [("words", _counter(token_pattern=WORD_OR_SIGN, ngram_range=(1, 2)))]
    if sum(map(len, texts)) <= MOST_CHARACTERS:
        kinds.append(("pieces", _counter(analyzer="char_wb", ngram_range=PIECE_LENGTHS)))
    vectorizer = FeatureUnion(kinds)
    words = sp.csr_array(vectorizer.fit_transform(texts))
    return Corpus(words, buckets_of(texts)), vectorizer


def _counter(**reading: object) -> Vectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    made: Vectorizer = TfidfVectorizer(max_features=MOST_WORDS, sublinear_tf=True, **reading)
    return made


def study_rows(texts: Sequence[str], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows to learn from: all, or where there are too many those at `known` and a sample by checksum."""
    if len(texts) <= MOST_TEXTS:
        return np.arange(len(texts))
    order = np.argsort([checksum(text) for text in texts], kind="stable")
    return np.union1d(order[:MOST_TEXTS], known)


def in_words(texts: Sequence[str], vectorizer: Vectorizer) -> Corpus:
    """`texts` in the words that the vectorizer knows."""
    return Corpus(sp.csr_array(vectorizer.transform(texts)), buckets_of(texts))


def buckets_of(texts: Sequence[str]) -> NDArray[np.int64]:
    """The bucket of each text, int array [n]."""
    return np.array([checksum(text) % BUCKETS for text in texts], dtype=np.int64)


def checksum(text: str) -> int:
    """A number that depends on the text alone and spreads evenly; a lone surrogate is no obstacle."""
    return crc32(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class TextEvidence:
    """Log P(word | class), a table [words, K] a bucket, and the scale at which words predict the targets."""

    tables: tuple[FloatArray, ...]
    scale: float

    def of(self, corpus: Corpus) -> FloatArray:
        """Float array [n, K]: log evidence for each class, up to a constant a row."""
        return self.scale * _evidence(corpus, self.tables)


def learn_evidence(corpus: Corpus, weighted_targets: FloatArray) -> TextEvidence:
    """Tables from the class probabilities of each text times its weight, float array [n, K].

    Words are not independent, so their evidence is scaled to predict the targets of texts unseen by it.
    """
    words_by_class = [
        corpus.words[corpus.buckets == bucket].T @ weighted_targets[corpus.buckets == bucket]
        for bucket in range(BUCKETS)
    ]
    total = np.sum(words_by_class, axis=0)
    tables = tuple(_log_rates(total - own) for own in words_by_class)
    return TextEvidence(tables, _fitted_scale(_evidence(corpus, tables), weighted_targets))


def _evidence(corpus: Corpus, tables: tuple[FloatArray, ...]) -> FloatArray:
    evidence = np.empty((len(corpus.buckets), tables[0].shape[1]))
    for bucket, table in enumerate(tables):
        rows = corpus.buckets == bucket
        evidence[rows] = corpus.words[rows] @ table
    return evidence


def _fitted_scale(evidence: FloatArray, weighted_targets: FloatArray) -> float:
    log_balance = np.log(weighted_targets.sum(axis=0) + SMOOTHING)

    def loss(scale: float) -> float:
        return -float((weighted_targets * log_softmax(scale * evidence + log_balance, axis=1)).sum())

    return float(minimize_scalar(loss, bounds=(0.0, LARGEST_SCALE), method="bounded").x)


def _log_rates(words_by_class: FloatArray) -> FloatArray:
    smoothed = np.maximum(words_by_class, 0.0) + SMOOTHING
    return np.asarray(np.log(smoothed / smoothed.sum(axis=0)))
