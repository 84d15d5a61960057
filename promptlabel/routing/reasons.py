"""Why a trace is in the review queue, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def audit_reason(rate: float) -> str:
    """Why a trace of the random lane is here; `rate` is the share of all traces that it draws."""
    return f"Drawn at random, as {_percent(rate)} of all traces are, so that accuracy can be measured without bias."


def uncertain_reason(probs: Mapping[str, float]) -> str:
    """Why an uncertain trace is here: the likeliest labels and what the posterior gives them."""
    likeliest = sorted(probs, key=probs.__getitem__, reverse=True)[:2]
    shares = ", ".join(f"{label} {_percent(probs[label])}" for label in likeliest)
    return f"The rules leave it open: {shares}."


def conflict_reason(evidence: Mapping[str, Mapping[str, float]]) -> str:
    """Why independent sources conflict: what each family's votes say, families in their order."""
    return f"Independent sources disagree: {'; '.join(_says(family, votes) for family, votes in evidence.items())}."


def rare_reason(category: str, size: int, reviewed: int) -> str:
    """Why a trace of a rare category is here; `size` traces have the category, `reviewed` of them are decided."""
    return f'Category "{category}" is rare ({_traces(size)}) and hardly reviewed ({reviewed:,} so far).'


def failing_reason(category: str, reviewed: int, wrong: int) -> str:
    """Why a trace of a failing category is here: how often people decided against most rules."""
    return (
        f'The rules fail in category "{category}": people decided against most of them on {wrong:,} of '
        f"{_traces(reviewed)} reviewed, more than elsewhere."
    )


def new_reason(words: Sequence[str]) -> str:
    """Why a trace is here that is unlike what people reviewed; `words` are those that they hardly met."""
    return f"Unlike what was reviewed before: it says {_quoted(words)}."


def drifted_reason(words: Sequence[str]) -> str:
    """Why a trace is here that is unlike earlier traffic; `words` are those that have become frequent."""
    return f"Unlike earlier traffic: it says {_quoted(words)}."


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _traces(number: int) -> str:
    return f"{number:,} trace{'' if number == 1 else 's'}"


def _says(family: str, votes: Mapping[str, float]) -> str:
    total = sum(votes.values())
    favourite = max(votes, key=votes.__getitem__)
    return f"{family} say {favourite} ({_percent(votes[favourite] / total)} of {total:.3g})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
