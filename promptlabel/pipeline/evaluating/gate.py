"""`gate`: passes a labeler, or says why not; for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from promptlabel.errors import fail
from promptlabel.evals.intervals import Estimate
from promptlabel.evals.set_scoring import SetScore
from promptlabel.pipeline.evaluating.score import ScoreReport, score
from promptlabel.pipeline.evaluating.scored import Scored
from promptlabel.pipeline.workspace import Workspace
from promptlabel.rules.loading import Task

ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class Floor:
    """The least a figure may be: ``accuracy``, ``weighted``, ``recall:LABEL``, ``precision:LABEL`` or ``category:NAME``.

    Where several labels may apply, ``accuracy`` is of whole sets, and there are ``labels``, ``jaccard``, ``micro-f1``,
    ``macro-f1`` and ``f1:LABEL`` besides.
    """

    figure: str
    least: float

    @classmethod
    def parse(cls, text: str) -> Floor:
        """The floor that ``0.85`` or ``recall:bad=0.7`` asks for.

        Raises:
            InputError: for anything else.
        """
        figure, _, number = text.rpartition("=")
        try:
            least = float(number)
        except ValueError:
            least = -1.0
        if not 0 <= least <= 1:
            fail(
                f"--min {text}: write a share such as 0.85, or FIGURE=0.85 with recall:LABEL, precision:LABEL or category:NAME"
            )
        return cls(figure or ACCURACY, least)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was held against the labeler.

    Attributes:
        passed: false only where the figure lies below beyond noise: the whole 95 % interval does.
        reason: in words.
    """

    figure: str
    least: float
    estimate: float
    low: float
    high: float
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """Whether the labeler passes, and each thing it was held against."""

    task: str
    version: str
    labeler: str
    passed: bool
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """1 where it does not pass."""
        return 0 if self.passed else 1


def gate(
    workspace: Workspace,
    task: Task,
    labeler: str,
    floors: Sequence[Floor],
    *,
    version: str = "latest",
    against: str | None = None,
) -> GateReport:
    """Whether the labeler keeps above every floor, and is no worse than the other labeler, both beyond noise.

    Raises:
        InputError: without anything to hold against it, or for a figure, version or labeler that there is not.
    """
    if not floors and against is None:
        fail("nothing to check: add --min SHARE, or --against LABELER")
    found = score(workspace, task, [labeler], version=version, baseline=against)
    shown = [one for one in found.labelers if one.name != found.baseline] if against else found.labelers
    if not shown:
        fail(f"{labeler} and {against} are the same labeler")
    checks = tuple(check for one in shown for check in _checks(one, found, floors, against))
    names = ", ".join(one.name for one in shown)
    return GateReport(task.name, found.version, names, all(check.passed for check in checks), checks)


def _checks(
    scored: Scored, report: ScoreReport, floors: Sequence[Floor], against: str | None
) -> Iterator[Check]:
    for floor in floors:
        yield _held_above(floor, _figure(scored, floor.figure))
    for one in report.differences if against else ():
        if one.first == scored.name:
            yield _no_worse(one.second, one.difference)


def _figure(scored: Scored, name: str) -> Estimate:
    categories = {one.name: one.interval for one in scored.gap.categories} if scored.gap else {}
    known = {
        ACCURACY: scored.score.accuracy,
        **({"weighted": scored.weighted} if scored.weighted else {}),
        **(_figures_of_sets(scored.sets) if scored.sets else {}),
        **{f"recall:{label}": figure for label, figure in scored.recall.items()},
        **{f"precision:{label}": figure for label, figure in scored.precision.items()},
        **{f"category:{category}": figure for category, figure in categories.items()},
    }
    return known.get(name) or fail(f"there is no figure '{name}'; known: {', '.join(known)}")


def _figures_of_sets(sets: SetScore) -> dict[str, Estimate]:
    return {
        "labels": sets.label_accuracy,
        "jaccard": sets.jaccard,
        "micro-f1": sets.micro_f1,
        "macro-f1": sets.macro_f1,
        **{f"f1:{label}": one.f1 for label, one in sets.labels.items() if one.f1},
    }


def _held_above(floor: Floor, found: Estimate) -> Check:
    passed = found.high >= floor.least
    words = f"{floor.figure} {_percent(found)}"
    if not passed:
        reason = f"{words} is below {floor.least:.1%} beyond noise"
    elif found.estimate < floor.least:
        reason = f"{words} is below {floor.least:.1%}, but within noise"
    else:
        reason = f"{words} keeps above {floor.least:.1%}"
    return Check(floor.figure, floor.least, found.estimate, found.low, found.high, passed, reason)


def _no_worse(other: str, lead: Estimate) -> Check:
    passed = lead.high >= 0
    points = f"{100 * lead.estimate:+.1f} points ({100 * lead.low:+.1f} to {100 * lead.high:+.1f})"
    verdict = "no worse than" if passed else "worse beyond noise than"
    return Check(
        f"accuracy against {other}",
        0.0,
        lead.estimate,
        lead.low,
        lead.high,
        passed,
        f"{verdict} {other}: {points}",
    )


def _percent(found: Estimate) -> str:
    return f"{found.estimate:.1%} ({found.low:.1%} to {found.high:.1%})"
