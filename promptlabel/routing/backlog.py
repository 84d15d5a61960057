"""Whether a review queue grows faster than people drain it, and the share of traffic that they could keep up with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How the queue stands; figures are None while nothing is known of them.

    Attributes:
        waiting: traces that are queued and undecided.
        queued_per_day: traces that a day of traffic adds at the present share.
        decided_per_day: traces that people decide a day.
        grows: whether more come in than are decided, with some waiting.
        sustainable_share: the share of traffic that the present pace of reviewing would keep up with.
    """

    waiting: int
    queued_per_day: float | None
    decided_per_day: float | None
    grows: bool
    sustainable_share: float | None

    @classmethod
    def of(cls, waiting: int, share: float, traces: float | None, decided: float | None) -> Backlog:
        """The backlog where so many traces come and so many are decided a day."""
        queued = None if traces is None else share * traces
        if queued is None or decided is None or traces is None:
            return cls(waiting, queued, decided, grows=False, sustainable_share=None)
        sustainable = min(1.0, decided / traces) if traces else 1.0
        return cls(waiting, queued, decided, waiting > 0 and queued > decided, sustainable)


def pace(moments: Floats, until: float, window: timedelta) -> float | None:
    """How many of the moments, in seconds, lie in a day of the window that ends at `until`; None without any moment before.

    Where the first moment lies within the window, the days since then count, one at least.
    """
    past = moments[moments <= until]
    if not len(past):
        return None
    seconds = max(min(window.total_seconds(), until - float(past.min())), DAY.total_seconds())
    return float((past > until - window.total_seconds()).sum()) * DAY.total_seconds() / seconds
