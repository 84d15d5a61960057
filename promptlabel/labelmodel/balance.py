"""The class balance: given by the user or read off random gold, never learnt freely from votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.patterns import FloatArray

PSEUDO_ROWS = 10.0
LEAST_GOLD = 20

Source = Literal["given", "gold", "uniform"]


@dataclass(frozen=True)
class ClassBalance:
    """Called with labelled rows it returns the shares [K]; `given` shares win over gold."""

    given: FloatArray | None
    n_classes: int

    def __call__(self, gold: Labelled) -> FloatArray:
        """The given shares, else those of the random gold, smoothed by ten rows spread evenly."""
        if self.given is not None:
            return self.given
        shares = gold.at_random().one_hot.sum(axis=0) + PSEUDO_ROWS / self.n_classes
        return np.asarray(shares / shares.sum())

    def source(self, gold: Labelled) -> Source:
        """Where the shares come from."""
        if self.given is not None:
            return "given"
        return "gold" if len(gold.at_random()) else "uniform"

    def known(self, gold: Labelled) -> bool:
        """Whether the shares are given, or stand on twenty random gold rows or more."""
        return self.given is not None or len(gold.at_random()) >= LEAST_GOLD
