"""How much a training set still says: figures that fall over cycles where a model learns from its own words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

BUDGET: Final = 2_000
"""Pairs of words that are counted: the share of distinct ones falls with their number, so it must be one number."""
SAMPLE: Final = 300
"""Texts that are compared with one another."""


def distinct_pairs(texts: Sequence[str]) -> float:
    """The share of different pairs of neighbouring words among the first 2,000 (distinct-2, Li et al. 2016)."""
    pairs = [pair for text in texts for pair in pairwise(text.lower().split())][:BUDGET]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def effective_texts(texts: Sequence[str]) -> float:
    """How many texts that share nothing the first 300 are worth (Vendi score, Friedman & Dieng 2023), as a share.

    The exponential of the entropy of the eigenvalues of their cosine similarities in character 4-grams, over their
    number: 1 where all differ in everything, 1/n where all are one text.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    some = [text for text in texts[:SAMPLE] if text.strip()]
    if not some:
        return 0.0
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 4), max_features=20_000).fit_transform(some)
    similar = np.asarray((grams @ grams.T).todense(), dtype=np.float64)
    return effective_number(np.asarray(np.linalg.eigvalsh(similar / len(some)), dtype=np.float64)) / len(some)


def effective_number(shares: npt.NDArray[np.float64]) -> float:
    """The exponential of the entropy of shares that sum to one: how many equal ones there might be (Hill 1973)."""
    some = shares[shares > 1e-12]
    return math.exp(-float((some * np.log(some)).sum()))


def diversity(texts: Sequence[str]) -> dict[str, float]:
    """Both figures of texts in random order."""
    return {"distinct_pairs": distinct_pairs(texts), "effective_texts": effective_texts(texts)}
