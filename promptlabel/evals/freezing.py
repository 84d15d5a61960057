"""Blind human decisions and their traces in; the next frozen version of an eval set out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from promptlabel.evals.duplicates import Match, TextIndex, repeats_of_earlier
from promptlabel.evals.periods import is_later, month
from promptlabel.evals.versions import Case, EvalVersion, cases_bytes, content_hash, version_order
from promptlabel.label_sets import set_members
from promptlabel.records import JsonValue, RegisteredRule, Trace
from promptlabel.redaction import REDACTED
from promptlabel.review.adjudication import Decision
from promptlabel.routing.lanes import CONFLICT, UNCERTAIN
from promptlabel.routing.sampling import permanent_numbers

NOT_BLIND: Final = "not decided blind"
NO_TRACE: Final = "no such trace in the store"
EARLY: Final = "not later than the task's holdout_after"
STALE: Final = "older than evals.retire_after_days"
FULL: Final = "its category has evals.most cases of its month"
SAME_TEXT: Final = "same text"
NEAR_TEXT: Final = "nearly the same text"
SHOWN_TO_MODELS: Final = "retired: a rule shows it to models"
RETIRED_STALE: Final = f"retired: {STALE}"

OUTVOTED: Final = "outvoted"
DISPUTED: Final = "disputed"
"""Tags of hard cases, besides the lanes: most rules vote otherwise; reviewers differed and an adjudicator decided."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A trace that may not enter, why, and, for a duplicate, what it repeats.

    Attributes:
        match: where the same text stands.
        similarity: of the pair, 1 for the same text.
        text: the beginning of the trace's text, where it is a duplicate.
        match_text: the beginning of what it repeats.
        chain: the steps from a recycled label back to the model that it would train.
    """

    trace_id: str
    reason: str
    match: str | None = None
    similarity: float | None = None
    text: str | None = None
    match_text: str | None = None
    chain: tuple[str, ...] = ()

    @classmethod
    def of(cls, trace: Trace, match: Match, same: str = SAME_TEXT, near: str = NEAR_TEXT) -> Self:
        """The refusal of a duplicate, with the pair; `same` and `near` are the reasons."""
        reason = same if match.similarity == 1 else near
        return cls(trace.trace_id, reason, match.place, match.similarity, match.text, match.other)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a task's eval set should be like.

    Attributes:
        holdout_after: only traces later than this may enter; None admits all.
        most: most cases of one category and month; None is no limit.
        retire_after: age, against the newest decided trace, at which a case leaves; None keeps all.
    """

    holdout_after: datetime | None = None
    most: int | None = None
    retire_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class EvalTask:
    """What freezing must know of a task.

    Attributes:
        examples: what the rules show to models, each with words that say where it stands.
        trained: id -> what repeats it among the rows exported for training.
        outvoted: ids of traces whose decided label is not what most rules voted.
        rules: the rules and models of the moment, kept in the manifest.
        is_set: whether several labels may apply, so that a decision's label is the name of a set.
    """

    name: str
    labels: tuple[str, ...]
    examples: Sequence[tuple[Trace, str]] = ()
    trained: Mapping[str, Match] = field(default_factory=dict)
    outvoted: Collection[str] = frozenset()
    rules: Sequence[RegisteredRule] = ()
    policy: Policy = Policy()
    is_set: bool = False

    def knows(self, label: str) -> bool:
        """Whether the label, or where several may apply each of the set, is one of the task's."""
        return all(name in self.labels for name in (set_members(label) if self.is_set else (label,)))


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a freeze made; `version` is the parent itself, or None, when nothing changed."""

    version: EvalVersion | None
    changed: bool
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A decision that may become a case."""

    decision: Decision
    trace: Trace

    @property
    def cell(self) -> tuple[str, str]:
        return self.trace.category or "none", month(self.trace)


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
    again under the new version; one that a rule has since taken as its example, or that has grown stale, leaves.

    Args:
        task: what freezing must know of the task.
        decisions: what people decided, one a trace.
        traces: the decided traces by id.
        earlier: the task's versions, oldest first; the last is the parent.
        now: the month of the version's name, and nothing else.
    """
    parent = earlier[-1] if earlier else None
    name = next_version([version.version for version in earlier], now)
    held = [case.trace for case in parent.cases] if parent else []
    oldest = _oldest(task, [*traces.values(), *held])
    kept, retired = _kept(parent, task, oldest)
    fit, unfit = _fit(task, decisions, traces, oldest)
    news = [one for one in fit if _is_new(one.decision, kept)]
    clean, repeated = _clean(task, news, kept)
    taken, left_out = _within_quota(task, clean, kept)
    fresh = {one.decision.trace_id: _case(task, one, name, chance) for one, chance in taken}
    refused = (*retired, *unfit, *repeated, *left_out)
    if not fresh and not retired and not (parent and parent.forgotten):
        return Frozen(parent, changed=False, refused=refused)
    cases = tuple(sorted((kept | fresh).values(), key=lambda case: case.trace.trace_id))
    version = EvalVersion(task.name, name, cases, _manifest(task, name, cases, parent))
    return Frozen(version, changed=True, refused=refused)


def rewritten(version: EvalVersion, gone: Collection[str], now: datetime) -> EvalVersion:
    """The version without the cases of these traces, which are forgotten; its manifest keeps the hash it had before."""
    cases = tuple(case for case in version.cases if case.trace.trace_id not in gone)
    before = version.manifest.get("rewritten")
    entry = {
        "at": _utc(now),
        "forgotten": len(version.cases) - len(cases),
        "content_before": version.manifest["content"],
    }
    told: JsonValue = [*(before if isinstance(before, list) else []), entry]
    manifest = {**version.manifest, **_of_cases(version.version, cases), "rewritten": told}
    return EvalVersion(version.task, version.version, cases, manifest)


def next_version(names: Sequence[str], now: datetime) -> str:
    """``YYYY.MM.N`` for the month of `now`, after all given names even where the clock went back."""
    latest = max((version_order(name) for name in names), default=(0, 0, 0))
    month = max((now.year, now.month), latest[:2])
    number = latest[2] + 1 if month == latest[:2] else 1
    return f"{month[0]:04}.{month[1]:02}.{number}"


def _oldest(task: EvalTask, traces: Iterable[Trace]) -> datetime | None:
    """The moment before which traces are stale, None where none ever is."""
    newest = max((trace.timestamp for trace in traces if trace.timestamp), default=None)
    after = task.policy.retire_after
    return newest - after if newest and after else None


def _is_stale(trace: Trace, oldest: datetime | None) -> bool:
    return oldest is not None and trace.timestamp is not None and trace.timestamp < oldest


def _kept(
    parent: EvalVersion | None, task: EvalTask, oldest: datetime | None
) -> tuple[dict[str, Case], list[Refusal]]:
    cases = parent.cases if parent else ()
    kept, retired = {}, []
    for case, shown in zip(cases, TextIndex(task.examples).find([case.trace for case in cases]), strict=True):
        if shown is not None:
            retired.append(Refusal.of(case.trace, shown, SHOWN_TO_MODELS, SHOWN_TO_MODELS))
        elif _is_stale(case.trace, oldest):
            retired.append(Refusal(case.trace.trace_id, RETIRED_STALE))
        else:
            kept[case.trace.trace_id] = case
    return kept, retired


def _fit(
    task: EvalTask, decisions: Iterable[Decision], traces: Mapping[str, Trace], oldest: datetime | None
) -> tuple[list[_Candidate], list[Refusal]]:
    fit, unfit = [], []
    for decision in sorted(decisions, key=lambda decision: (decision.at, decision.trace_id)):
        trace = traces.get(decision.trace_id)
        reason = NO_TRACE if trace is None else _unfitness(task, decision, trace, oldest)
        if trace is None or reason is not None:
            unfit.append(Refusal(decision.trace_id, str(reason)))
        else:
            fit.append(_Candidate(decision, trace))
    return fit, unfit


def _unfitness(task: EvalTask, decision: Decision, trace: Trace, oldest: datetime | None) -> str | None:
    if not decision.blind:
        return NOT_BLIND
    if not task.knows(decision.label):
        return f"its label '{decision.label}' is not one of the task's"
    if not is_later(trace, task.policy.holdout_after):
        return EARLY
    return STALE if _is_stale(trace, oldest) else None


def _is_new(decision: Decision, kept: Mapping[str, Case]) -> bool:
    held = kept.get(decision.trace_id)
    return held is None or held.label != decision.label


def _clean(
    task: EvalTask, news: Sequence[_Candidate], kept: Mapping[str, Case]
) -> tuple[list[_Candidate], list[Refusal]]:
    """The candidates that repeat nothing that is trained on, shown to models, frozen or decided earlier."""
    known = _known_texts(task, kept, corrected={one.decision.trace_id for one in news})
    clean, repeated = [], []
    for one, match in zip(news, known.find([one.trace for one in news]), strict=True):
        found = match or task.trained.get(one.decision.trace_id)
        if found is None:
            clean.append(one)
        else:
            repeated.append(Refusal.of(one.trace, found))
    repeats = repeats_of_earlier([one.trace for one in clean])
    repeated += [Refusal.of(clean[later].trace, match) for later, match in repeats.items()]
    return [one for place, one in enumerate(clean) if place not in repeats], repeated


def _known_texts(task: EvalTask, kept: Mapping[str, Case], corrected: Collection[str]) -> TextIndex:
    cases = [
        (case.trace, f"case {trace_id} of version {case.since}")
        for trace_id, case in kept.items()
        if trace_id not in corrected
    ]
    return TextIndex([*task.examples, *cases])


def _within_quota(
    task: EvalTask, clean: Sequence[_Candidate], kept: Mapping[str, Case]
) -> tuple[list[tuple[_Candidate, float]], list[Refusal]]:
    """The candidates for which there is room, each with the share of its cell that was taken.

    Where there is no room for all, chance decides, by numbers that stay: importance weights remain right.
    """
    cells: dict[tuple[str, str], list[_Candidate]] = defaultdict(list)
    for one in clean:
        cells[one.cell].append(one)
    held = Counter((case.trace.category or "none", month(case.trace)) for case in kept.values())
    taken, left_out = [], []
    for cell, found in cells.items():
        drawn = _in_random_order(task, found)
        room = len(found) if task.policy.most is None else max(task.policy.most - held[cell], 0)
        taken += [(one, min(room / len(found), 1.0)) for one in drawn[:room]]
        left_out += [Refusal(one.decision.trace_id, FULL) for one in drawn[room:]]
    return taken, left_out


def _in_random_order(task: EvalTask, found: Sequence[_Candidate]) -> list[_Candidate]:
    numbers = permanent_numbers([one.decision.trace_id for one in found], f"quota of {task.name}")
    return [found[place] for place in numbers.argsort(kind="stable").tolist()]


def _case(task: EvalTask, one: _Candidate, version: str, chance: float) -> Case:
    decision = one.decision
    return Case(
        trace=one.trace,
        task=task.name,
        label=decision.label,
        since=version,
        as_of=decision.at,
        reviewers=tuple(sorted(decision.reviewers)),
        lane=decision.lane,
        probability=decision.probability,
        weight=1 / (decision.probability * chance) if decision.probability else None,
        hard=_hard(task, decision),
    )


def _hard(task: EvalTask, decision: Decision) -> tuple[str, ...]:
    """Why the case is harder than most, as far as it is known."""
    disputed = decision.adjudicator is not None and len(decision.reviewers) > 1
    return (
        *([decision.lane] if decision.lane in (UNCERTAIN, CONFLICT) else []),
        *([DISPUTED] if disputed else []),
        *([OUTVOTED] if decision.trace_id in task.outvoted else []),
    )


def _manifest(
    task: EvalTask, version: str, cases: Sequence[Case], parent: EvalVersion | None
) -> dict[str, JsonValue]:
    return {
        "task": task.name,
        "version": version,
        "parent": parent.version if parent else None,
        "parent_content": parent.manifest["content"] if parent else None,
        **({"forgotten": parent.forgotten} if parent and parent.forgotten else {}),
        **_of_cases(version, cases),
        "labels": list(task.labels),
        "policy": _policy(task.policy),
        "holdout_after": _utc(task.policy.holdout_after),
        "rules": [asdict(rule) for rule in task.rules],
    }


def _of_cases(version: str, cases: Sequence[Case]) -> dict[str, JsonValue]:
    """What the manifest says of the cases."""
    return {
        "content": content_hash(cases_bytes(cases)),
        "cases": len(cases),
        "fresh": sum(case.since == version for case in cases),
        "as_of": _utc(max((case.as_of for case in cases), default=None)),
        "traces": _span([case.trace.timestamp for case in cases if case.trace.timestamp]),
        "counts": _counts(cases),
        "labelled_by": {
            "people": True,
            "blind": len(cases),
            "reviewers": len({reviewer for case in cases for reviewer in case.reviewers}),
            "by_several": sum(len(case.reviewers) > 1 for case in cases),
        },
        "secrets_removed": sum(REDACTED in case.trace.transcript for case in cases),
        "sampled": _sampled(cases),
        "blind": len(cases),
    }


def _counts(cases: Sequence[Case]) -> dict[str, JsonValue]:
    return {
        "label": _tally(case.label for case in cases),
        "category": _tally(case.trace.category or "none" for case in cases),
        "month": _tally(month(case.trace) for case in cases),
        "lane": _tally(case.lane or "none" for case in cases),
        "hard": _tally(reason for case in cases for reason in case.hard),
        "reviewer": _tally(reviewer for case in cases for reviewer in case.reviewers),
    }


def _sampled(cases: Sequence[Case]) -> dict[str, JsonValue]:
    """Lane -> how many of its cases were drawn with what least and largest probability."""
    lanes: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        if case.probability is not None:
            lanes[case.lane or "none"].append(case.probability)
    return {
        lane: {"cases": len(drawn), "least": min(drawn), "most": max(drawn)}
        for lane, drawn in sorted(lanes.items())
    }


def _policy(policy: Policy) -> dict[str, JsonValue]:
    return {
        "most": policy.most,
        "retire_after_days": policy.retire_after.days if policy.retire_after else None,
    }


def _tally(values: Iterable[str]) -> dict[str, JsonValue]:
    return dict(sorted(Counter(values).items()))


def _span(times: Sequence[datetime]) -> JsonValue:
    return {"first": _utc(min(times)), "last": _utc(max(times))} if times else None


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
