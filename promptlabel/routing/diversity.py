"""Unlike traces before more of the same: groups of texts, and lower scores for what a group has shown already."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from promptlabel.routing.novelty import Words

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WIDTH: Final = 128
CENTRES: Final = 32
"""Groups that are told apart: more would hardly change who comes first, and cost a pass over all texts each."""
MOST: Final = 0.1
"""The largest part of its score that a trace may lose by being like others."""
HALF: Final = 4
"""Traces of its group before it by which a trace loses half of that."""


def sketches(words: Words, rows: Indices) -> Floats:
    """Unit vectors ``[len(rows), WIDTH]`` of what the traces say: hashed words with random signs (Weinberger 2009).

    A word's place and sign follow from its letters alone, so that new traces change no vector. A trace without words
    has a vector of zeros.
    """
    hashes = np.array([crc32(name.encode()) for name in words.names], dtype=np.int64)
    lengths = np.diff(words.starts)[rows]
    ids = np.concatenate(
        [words.ids[words.starts[row] : words.starts[row + 1]] for row in rows.tolist()] or [words.ids[:0]]
    )
    places = np.repeat(np.arange(len(rows)), lengths) * WIDTH + hashes[ids] % WIDTH
    signs = np.where(hashes[ids] // WIDTH % 2, 1.0, -1.0)
    found = np.bincount(places, weights=signs, minlength=len(rows) * WIDTH).reshape(len(rows), WIDTH)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(norms, 1e-12))


def groups(vectors: Floats, most: int = CENTRES) -> Indices:
    """The group of each row ``[n]``: that of the nearest of at most so many centres.

    Greedy k-centre (Gonzalez 1985): the first row is a centre, and each further one is the row farthest from all.
    At most twice as wide as the best grouping; ``most * n`` distances are looked at.
    """
    nearest = np.full(len(vectors), np.inf)
    group = np.zeros(len(vectors), dtype=np.int64)
    centre = 0
    for number in range(min(most, len(vectors))):
        distance = 1.0 - vectors @ vectors[centre]
        closer = distance < nearest
        nearest[closer], group[closer] = distance[closer], number
        centre = int(nearest.argmax())
        if nearest[centre] < 1e-9:
            break
    return group


def diversified(scores: Floats, group: Indices, ties: Floats) -> Floats:
    """The scores, less up to a tenth for a trace whose group has better ones, ``[n]``; zeros stay zeros.

    A trace with r better ones in its group keeps ``1 - MOST * r / (r + HALF)`` of its score.
    """
    order = np.lexsort((ties, -scores, group))
    own = group[order]
    before = np.arange(len(order)) - np.searchsorted(own, own)
    kept = np.empty(len(scores))
    kept[order] = 1.0 - MOST * before / (before + HALF)
    return scores * kept
