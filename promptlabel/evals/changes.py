"""What a version changed against its parent, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from promptlabel.evals.periods import month
from promptlabel.evals.versions import Case, EvalVersion

NAMED: Final = 10
"""Cases that a sentence names; the others are counted."""


def describe(version: EvalVersion, parent: EvalVersion | None) -> tuple[str, ...]:
    """Sentences that say what entered, left and was relabelled since the parent, and how the set's make-up moved."""
    if parent is None:
        return (
            f"{version.version} is the first version: {len(version.cases)} cases",
            *_entered(version.cases),
        )
    before = {case.trace.trace_id: case for case in parent.cases}
    after = {case.trace.trace_id: case for case in version.cases}
    entered = [case for name, case in after.items() if name not in before]
    left = [name for name in before if name not in after]
    relabelled = [
        f"{name} {before[name].label} -> {case.label}"
        for name, case in after.items()
        if name in before and before[name].label != case.label
    ]
    return (
        (
            f"{version.version} against {parent.version}: {len(before)} cases became {len(after)}; "
            f"{len(entered)} entered, {len(left)} left, {len(relabelled)} relabelled"
        ),
        *_entered(entered),
        *_list("left", left),
        *_list("relabelled", relabelled),
        *_shares(parent.cases, version.cases),
        *_age(parent.cases, version.cases),
        *_rules(parent.manifest, version.manifest),
    )


def _entered(cases: Sequence[Case]) -> Iterator[str]:
    if cases:
        yield f"entered, by label: {_counts(case.label for case in cases)}"
        yield f"entered, by category: {_counts(case.trace.category or 'none' for case in cases)}"
        yield f"entered, by month: {_counts(month(case.trace) for case in cases)}"
    hard = [case for case in cases if case.hard]
    if hard:
        yield f"entered, hard: {len(hard)} ({_counts(reason for case in hard for reason in case.hard)})"


def _list(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"{what}: {', '.join(names[:NAMED])}{rest}"


def _shares(before: Sequence[Case], after: Sequence[Case]) -> Iterator[str]:
    was, now = Counter(case.label for case in before), Counter(case.label for case in after)
    for label in sorted(was.keys() | now.keys()):
        old, new = was[label] / max(len(before), 1), now[label] / max(len(after), 1)
        if round(old, 3) != round(new, 3):
            yield f"share of {label}: {old:.1%} -> {new:.1%}"


def _age(before: Sequence[Case], after: Sequence[Case]) -> Iterator[str]:
    was, now = _median_day(before), _median_day(after)
    if was and now and was != now:
        yield f"median day of the traces: {was} -> {now}"


def _median_day(cases: Sequence[Case]) -> str | None:
    days = [case.trace.timestamp.toordinal() for case in cases if case.trace.timestamp]
    return str(type(cases[0].as_of).fromordinal(round(median(days))).date()) if days else None


def _rules(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    was, now = _versions(before), _versions(after)
    changed = sorted(name for name in was.keys() & now.keys() if was[name] != now[name])
    yield from _list("rules changed", changed)
    yield from _list("rules new", sorted(now.keys() - was.keys()))
    yield from _list("rules gone", sorted(was.keys() - now.keys()))


def _versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{rule['rule']} ({rule['model']})": f"{rule['rule_hash']} {rule['model_hash']}"
        for rule in manifest.get("rules", ())
    }


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(Counter(values).items()))
