"""Blind human decisions and their traces in; the next frozen version of an eval set out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from promptlabel.evals.duplicates import TextIndex
from promptlabel.evals.periods import is_later, month
from promptlabel.evals.versions import Case, EvalVersion, cases_bytes, content_hash, version_order
from promptlabel.records import JsonValue, RegisteredRule, Trace
from promptlabel.review.adjudication import Decision

NOT_BLIND = "not decided blind"
NO_TRACE = "no such trace in the store"
EARLY = "not later than the task's holdout_after"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A trace that may not enter, why, and, for a duplicate, where the same text stands."""

    trace_id: str
    reason: str
    match: str | None = None


@dataclass(frozen=True, slots=True)
class EvalTask:
    """What freezing must know of a task.

    Attributes:
        examples: what the rules show to models, each with words that say where it stands.
        rules: the rules and models of the moment, kept in the manifest.
        holdout_after: only traces later than this may enter; None admits all.
    """

    name: str
    labels: tuple[str, ...]
    examples: Sequence[tuple[Trace, str]] = ()
    rules: Sequence[RegisteredRule] = ()
    holdout_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a freeze made; `version` is the parent itself, or None, when nothing changed."""

    version: EvalVersion | None
    changed: bool
    refused: tuple[Refusal, ...]


def freeze_version(
    task: EvalTask,
    decisions: Iterable[Decision],
    traces: Mapping[str, Trace],
    earlier: Sequence[EvalVersion],
    now: datetime,
) -> Frozen:
    """The next version of the task's eval set, a pure function of its arguments.

    A version is cumulative: it holds its parent's cases word for word, with the version that first
    held each, then what was decided since. A case whose label people have since corrected enters
    again under the new version; one that a rule has since taken as its example leaves.

    Args:
        task: what freezing must know of the task.
        decisions: what people decided, one a trace.
        traces: the decided traces by id.
        earlier: the task's versions, oldest first; the last is the parent.
        now: the month of the version's name, and nothing else.
    """
    parent = earlier[-1] if earlier else None
    name = next_version([version.version for version in earlier], now)
    kept, retired = _kept(parent, task)
    fit, unfit = _fit(task, decisions, traces)
    news = [one for one in fit if one.trace_id not in kept or kept[one.trace_id].label != one.label]
    fresh, repeated = _fresh(task, news, traces, kept, name)
    refused = (*retired, *unfit, *repeated)
    if not fresh and not retired:
        return Frozen(parent, changed=False, refused=refused)
    cases = tuple(sorted((kept | fresh).values(), key=lambda case: case.trace.trace_id))
    version = EvalVersion(task.name, name, cases, _manifest(task, name, cases, parent))
    return Frozen(version, changed=True, refused=refused)


def next_version(names: Sequence[str], now: datetime) -> str:
    """``YYYY.MM.N`` for the month of `now`, after all given names even where the clock went back."""
    latest = max((version_order(name) for name in names), default=(0, 0, 0))
    month = max((now.year, now.month), latest[:2])
    number = latest[2] + 1 if month == latest[:2] else 1
    return f"{month[0]:04}.{month[1]:02}.{number}"


def _kept(parent: EvalVersion | None, task: EvalTask) -> tuple[dict[str, Case], list[Refusal]]:
    examples = TextIndex(task.examples)
    kept, retired = {}, []
    for case in parent.cases if parent else ():
        place = examples.find(case.trace)
        if place is None:
            kept[case.trace.trace_id] = case
        else:
            retired.append(Refusal(case.trace.trace_id, "retired: a rule shows it to models", place))
    return kept, retired


def _fit(
    task: EvalTask, decisions: Iterable[Decision], traces: Mapping[str, Trace]
) -> tuple[list[Decision], list[Refusal]]:
    fit, unfit = [], []
    for decision in sorted(decisions, key=lambda decision: (decision.at, decision.trace_id)):
        reason = _unfitness(task, decision, traces.get(decision.trace_id))
        if reason is None:
            fit.append(decision)
        else:
            unfit.append(Refusal(decision.trace_id, reason))
    return fit, unfit


def _unfitness(task: EvalTask, decision: Decision, trace: Trace | None) -> str | None:
    if not decision.blind:
        return NOT_BLIND
    if trace is None:
        return NO_TRACE
    if decision.label not in task.labels:
        return f"its label '{decision.label}' is not one of the task's"
    if not is_later(trace, task.holdout_after):
        return EARLY
    return None


def _fresh(
    task: EvalTask,
    news: Sequence[Decision],
    traces: Mapping[str, Trace],
    kept: Mapping[str, Case],
    version: str,
) -> tuple[dict[str, Case], list[Refusal]]:
    known = _known_texts(task, kept, corrected={decision.trace_id for decision in news})
    fresh, repeated = {}, []
    for decision in news:
        trace = traces[decision.trace_id]
        place = known.find(trace)
        if place is None:
            known.add(trace, f"trace {trace.trace_id}, decided earlier")
            fresh[trace.trace_id] = _case(task.name, decision, trace, version)
        else:
            repeated.append(Refusal(trace.trace_id, "same text", place))
    return fresh, repeated


def _known_texts(task: EvalTask, kept: Mapping[str, Case], corrected: Container[str]) -> TextIndex:
    known = TextIndex(task.examples)
    for trace_id, case in kept.items():
        if trace_id not in corrected:
            known.add(case.trace, f"case {trace_id} of version {case.since}")
    return known


def _case(task: str, decision: Decision, trace: Trace, version: str) -> Case:
    return Case(
        trace=trace,
        task=task,
        label=decision.label,
        since=version,
        as_of=decision.at,
        reviewers=tuple(sorted(decision.reviewers)),
        lane=decision.lane,
        probability=decision.probability,
    )


def _manifest(
    task: EvalTask, version: str, cases: Sequence[Case], parent: EvalVersion | None
) -> dict[str, JsonValue]:
    return {
        "task": task.name,
        "version": version,
        "parent": parent.version if parent else None,
        "parent_content": parent.manifest["content"] if parent else None,
        "content": content_hash(cases_bytes(cases)),
        "cases": len(cases),
        "fresh": sum(case.since == version for case in cases),
        "as_of": _utc(max((case.as_of for case in cases), default=None)),
        "traces": _span([case.trace.timestamp for case in cases if case.trace.timestamp]),
        "labels": list(task.labels),
        "counts": _counts(cases),
        "blind": len(cases),
        "holdout_after": _utc(task.holdout_after),
        "rules": [asdict(rule) for rule in task.rules],
    }


def _counts(cases: Sequence[Case]) -> dict[str, JsonValue]:
    return {
        "label": _tally(case.label for case in cases),
        "category": _tally(case.trace.category or "none" for case in cases),
        "month": _tally(month(case.trace) for case in cases),
        "lane": _tally(case.lane or "none" for case in cases),
        "reviewer": _tally(reviewer for case in cases for reviewer in case.reviewers),
    }


def _tally(values: Iterable[str]) -> dict[str, JsonValue]:
    return dict(sorted(Counter(values).items()))


def _span(times: Sequence[datetime]) -> JsonValue:
    return {"first": _utc(min(times)), "last": _utc(max(times))} if times else None


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
