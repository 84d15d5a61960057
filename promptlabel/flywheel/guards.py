"""What the report shows of the guards: what was exported for training, feedback beside the audit, bias, who persists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptlabel.flywheel.amplification import Amplification, Persistence
from promptlabel.flywheel.feedback import FeedbackFigures


@dataclass(frozen=True, slots=True)
class ExportFigures:
    """One training export: a cycle of the loop.

    Attributes:
        figures: `distinct_pairs`, `effective_texts` and `label_delay_days`, as far as they are known.
    """

    export: str
    at: str
    rows: int
    human_share: float
    refused: Mapping[str, int]
    set_aside: Mapping[str, Sequence[str]]
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SignalFeedback:
    """A rule on behaviour that votes for a label, and what it says beside what the audit says."""

    rule: str
    label: str
    figures: FeedbackFigures


@dataclass(frozen=True)
class GuardFigures:
    """The guards of one task; what is not known yet is None or empty.

    Attributes:
        exports: oldest first.
    """

    exports: tuple[ExportFigures, ...] = ()
    feedback: tuple[SignalFeedback, ...] = ()
    amplification: Amplification | None = None
    persistence: Persistence | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.exports or self.feedback or self.persistence) and not (
            self.amplification and self.amplification.cells
        )
