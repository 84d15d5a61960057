"""What can be seen without any gold: a posterior that collapsed, or that overrules unanimous rules."""

from __future__ import annotations

import numpy as np

from promptlabel.labelmodel.patterns import FloatArray, Patterns

COLLAPSED_SHARE = 0.9
COLLAPSED_GROWTH = 1.5
OVERRULED_SHARE = 0.05


def structural_faults(patterns: Patterns, posterior: FloatArray) -> list[str]:
    """Sentences that say what looks wrong with a posterior [u, K]; none when nothing does."""
    return [*_collapse(patterns, posterior), *_overruling(patterns, posterior)]


def class_shares(patterns: Patterns, posterior: FloatArray) -> FloatArray:
    """Float array [K]: the share of covered traces for which each class is the likeliest."""
    covered = patterns.counts * (patterns.votes_per_row > 0)
    likeliest = np.bincount(posterior.argmax(axis=1), weights=covered, minlength=patterns.n_classes)
    return np.asarray(likeliest / max(covered.sum(), 1.0))


def vote_shares(patterns: Patterns) -> FloatArray:
    """Float array [K]: the share of all votes that each class has."""
    votes = patterns.counts @ patterns.tally
    return np.asarray(votes / max(votes.sum(), 1.0))


def overruled(patterns: Patterns, posterior: FloatArray) -> float:
    """The share of traces with two or more votes, all for one class, whose likeliest class is another."""
    votes = patterns.votes_per_row
    unanimous = (votes >= 2) & (patterns.tally.max(axis=1) >= votes)
    flipped = unanimous & (posterior.argmax(axis=1) != patterns.tally.argmax(axis=1))
    return float((patterns.counts * flipped).sum() / max((patterns.counts * unanimous).sum(), 1.0))


def _collapse(patterns: Patterns, posterior: FloatArray) -> list[str]:
    shares, votes = class_shares(patterns, posterior), vote_shares(patterns)
    top = int(shares.argmax())
    if shares[top] < COLLAPSED_SHARE or shares[top] < COLLAPSED_GROWTH * votes[top]:
        return []
    return [f"class {top} takes {shares[top]:.0%} of the traces but {votes[top]:.0%} of the votes"]


def _overruling(patterns: Patterns, posterior: FloatArray) -> list[str]:
    share = overruled(patterns, posterior)
    return [f"{share:.0%} of unanimous traces are overruled"] if share > OVERRULED_SHARE else []
