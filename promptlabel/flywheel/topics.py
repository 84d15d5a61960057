"""Clusters of traces by their text: what a set is about, and which clusters are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from promptlabel.records import Trace

Indices = npt.NDArray[np.int64]

FEWEST_TEXTS: Final = 50
MOST_TOPICS: Final = 30
DIMENSIONS: Final = 50
WORDS: Final = 3
FEWEST_OF_NEW: Final = 5
TIMES_MORE: Final = 3.0
"""A topic is new when its share is so many times what it was, beyond chance at 1 % over all topics."""
LEVEL: Final = 0.01


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic of each of some traces; a topic is named by its most telling words."""

    names: tuple[str, ...]
    topic_of: Mapping[str, str]

    def of(self, traces: Sequence[Trace]) -> list[str]:
        """The topic of each trace that has one."""
        return [self.topic_of[trace.trace_id] for trace in traces if trace.trace_id in self.topic_of]

    def new(self, recent: Sequence[Trace], earlier: Sequence[Trace]) -> tuple[str, ...]:
        """The topics that recent traces have far more often than earlier ones, beyond chance."""
        now, then = Counter(self.of(recent)), Counter(self.of(earlier))
        return tuple(name for name in self.names if then and self._is_new(name, now, then))

    def _is_new(self, name: str, now: Counter[str], then: Counter[str]) -> bool:
        from scipy.stats import binom

        share, before = now[name] / max(now.total(), 1), (then[name] + 0.5) / then.total()
        if now[name] < FEWEST_OF_NEW or share < TIMES_MORE * before:
            return False
        chance = binom.sf(now[name] - 1, now[name] + then[name], now.total() / (now.total() + then.total()))
        return bool(chance < LEVEL / len(self.names))


def topics_of(traces: Sequence[Trace]) -> Topics | None:
    """The topics of the traces, found in all of them alike; None where there is too little text to tell any.

    TF-IDF, its first singular vectors (latent semantic analysis), k-means; the same traces give the same topics.
    """
    traces = sorted({trace.trace_id: trace for trace in traces}.values(), key=lambda trace: trace.trace_id)
    texts = [" ".join(turn.content for turn in trace.turns) for trace in traces]
    if len(texts) < FEWEST_TEXTS:
        return None
    vectorizer, matrix = _tfidf(texts)
    if matrix is None or min(matrix.shape) < 3:
        return None
    label = _clusters(matrix)
    names = list(_names(label, matrix, vectorizer.get_feature_names_out()))
    named = {trace.trace_id: names[k] for trace, k in zip(traces, label.tolist(), strict=True)}
    return Topics(tuple(names), named)


def _tfidf(texts: Sequence[str]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(min_df=2, max_df=0.5, max_features=20_000, sublinear_tf=True)
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError:  # no word is in two texts
        return vectorizer, None


def _clusters(matrix: Any) -> Indices:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    size = int(np.clip(np.sqrt(matrix.shape[0] / 2), 2, MOST_TOPICS))
    dimensions = min(DIMENSIONS, min(matrix.shape) - 1)
    reduced = normalize(TruncatedSVD(dimensions, random_state=0).fit_transform(matrix))
    found = MiniBatchKMeans(size, random_state=0, n_init=3, batch_size=2_048).fit_predict(reduced)
    _, label = np.unique(found, return_inverse=True)
    return np.asarray(label, dtype=np.int64)


def _names(label: Indices, matrix: Any, words: npt.NDArray[np.object_]) -> Iterator[str]:
    used: Counter[str] = Counter()
    for topic in range(int(label.max()) + 1):
        weight = np.asarray(matrix[label == topic].mean(axis=0)).ravel()
        name = " ".join(words[np.argsort(-weight, kind="stable")[:WORDS]])
        used[name] += 1
        yield name if used[name] == 1 else f"{name} ({used[name]})"
