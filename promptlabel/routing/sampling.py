"""Random samples that stay: every trace has one number for ever, so a re-run or new traces change no draw."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def permanent_numbers(trace_ids: Sequence[str], key: str) -> Floats:
    """A uniform number in 0..1 for each trace id, fixed by the id and `key` alone (Ohlsson 1995)."""
    secret = blake2b(key.encode(), digest_size=32).digest()
    digests = bytearray()
    for trace_id in trace_ids:
        digests += blake2b(trace_id.encode(), digest_size=8, key=secret).digest()
    numbers: Floats = (np.frombuffer(digests, dtype="<u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers


def random_sample(numbers: Floats, rate: float) -> Mask:
    """The Poisson sample of `rate`, as a mask; where it would be empty, the trace of the lowest number."""
    sample = numbers < rate
    if len(numbers) and not sample.any():
        sample[np.argmin(numbers)] = True
    return sample


def sample_probability(population: int, rate: float) -> float:
    """The exact probability with which `random_sample` takes any one of `population` traces."""
    return rate + _nobody(population, rate) / max(population, 1)


def inclusion_probability(rank: Floats, population: int, budget: int, rate: float) -> Floats:
    """The exact probability that a trace is picked, by chance or by its rank; same shape as `rank`.

    The design: a random sample A as in `random_sample`, then the traces outside A in order of rank,
    until `budget` is reached. A trace outside A at rank r (from 1) is picked when A takes at most
    `budget` - r of the traces behind it; how many it takes there is binomial. The empty sample, which
    is replaced by one trace drawn evenly, is accounted for. Unranked traces have rank infinity.
    """
    from scipy.stats import binom

    ranked = np.isfinite(rank)
    r = np.where(ranked, rank, population)
    behind, room = population - r, budget - r
    nobody = _nobody(population, rate)
    enough_room = (1 - rate) * binom.cdf(room, behind, rate) - nobody * (room >= 0)
    one_drawn = nobody * ((r - 1) * (room >= 0) + behind * (room >= 1)) / max(population, 1)
    by_rank: Floats = np.where(ranked, enough_room + one_drawn, 0.0)
    return np.clip(sample_probability(population, rate) + by_rank, 0.0, 1.0)


def _nobody(population: int, rate: float) -> float:
    return float((1.0 - rate) ** population)
