"""Rules that need neither a model nor Python: keywords, patterns, SQL conditions and signals, from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from promptlabel.label_sets import NONE
from promptlabel.records import ORDER, Trace, digest
from promptlabel.rules.heuristic import HeuristicError, HeuristicKind, Said
from promptlabel.rules.parts import text_of
from promptlabel.rules.rule_expressions import signal_condition
from promptlabel.rules.spec import DeclarativeSpec, TaskSpec
from promptlabel.rules.sql_conditions import holds, matching
from promptlabel.rules.template import Condition
from promptlabel.rules.trace_values import all_fields

Matches: TypeAlias = list[list[bool]]
"""For each trace, whether each of a rule's conditions holds."""


@dataclass(frozen=True, eq=False)
class DeclarativeRule:
    """A checked rule that votes for the label whose condition holds, and abstains where none or several do.

    Where several labels may apply it votes for all whose conditions hold, and says nothing of the others.
    """

    name: str
    spec: DeclarativeSpec
    task_spec: TaskSpec

    @property
    def task(self) -> str:
        """The task's name."""
        return self.task_spec.task

    @property
    def kind(self) -> HeuristicKind:
        """``signal`` where it reads behaviour alone, else ``heuristic``."""
        return "signal" if self.spec.way == "signal" else "heuristic"

    @property
    def description(self) -> str:
        """One line for reviewers."""
        return self.spec.description

    @cached_property
    def rule_hash(self) -> str:
        """The digest of what decides: conditions, the part of the trace they read, and `when`."""
        meaning: list[object] = [self.spec.way, list(self.spec.conditions.items())]
        meaning.append([self.spec.inputs.way, self.spec.inputs.argument])
        meaning.append(None if self._when is None else self._when.meaning)
        if self.task_spec.kind == "several":
            meaning.append(self.task_spec.kind)
        return digest(meaning)

    def labels_of(self, traces: Sequence[Trace]) -> list[Said]:
        """For each trace the label, None where the rule abstains, or what went wrong there."""
        applying = [self._applies(trace) for trace in traces]
        asked = [trace for trace, applies in zip(traces, applying, strict=True) if applies is True]
        try:
            matches = iter(self._matches(asked) if asked else [])
        except ValueError as error:
            return [HeuristicError(self.name, trace.trace_id, str(error)) for trace in traces]
        said = self._set if self.task_spec.kind == "several" else self._label
        return [said(next(matches)) if applies is True else (applies or None) for applies in applying]

    @cached_property
    def _when(self) -> Condition | None:
        return None if self.spec.when is None else Condition(self.spec.when)

    def _applies(self, trace: Trace) -> bool | HeuristicError:
        if self.task_spec.kind == "pairwise" and len(trace.outputs) != len(ORDER):
            return False
        if self._when is None:
            return True
        try:
            return self._when.holds(all_fields(trace, self._when, self.spec.inputs))
        except Exception as error:  # noqa: BLE001  (an expression is a program: whatever it raises fails this cell)
            return HeuristicError(self.name, trace.trace_id, f"`when`: {error}")

    @cached_property
    def _matches(self) -> Callable[[Sequence[Trace]], Matches]:
        return _WAYS[self.spec.way](self)

    @cached_property
    def _owners(self) -> tuple[str, ...]:
        """The label of each condition."""
        return tuple(label for label, texts in self.spec.conditions.items() for _ in texts)

    @property
    def flat_conditions(self) -> tuple[str, ...]:
        """All conditions, in the order of their labels."""
        return tuple(text for texts in self.spec.conditions.values() for text in texts)

    def texts(self, traces: Sequence[Trace]) -> list[str]:
        """The part of each trace that the rule reads."""
        return [text_of(trace, self.spec.inputs) for trace in traces]

    def _label(self, matched: Sequence[bool]) -> str | None:
        """The label that the conditions which hold agree on."""
        said = {owner for owner, found in zip(self._owners, matched, strict=True) if found}
        return said.pop() if len(said) == 1 else None

    def _set(self, matched: Sequence[bool]) -> dict[str, float] | None:
        """Where several labels may apply, those whose conditions hold; ``none`` denies all that it is not beside."""
        said = {owner for owner, found in zip(self._owners, matched, strict=True) if found}
        if NONE in said:
            return dict.fromkeys(self.task_spec.labels, 0.0) if said == {NONE} else None
        return {label: 1.0 for label in self.task_spec.labels if label in said} or None


def _by_keyword(rule: DeclarativeRule) -> Callable[[Sequence[Trace]], Matches]:
    patterns = [keyword_pattern(words) for words in rule.flat_conditions]
    return lambda traces: [
        [pattern.search(text) is not None for pattern in patterns] for text in rule.texts(traces)
    ]


def _by_regex(rule: DeclarativeRule) -> Callable[[Sequence[Trace]], Matches]:
    return lambda traces: matching(rule.flat_conditions, rule.texts(traces))


def _by_sql(rule: DeclarativeRule) -> Callable[[Sequence[Trace]], Matches]:
    return lambda traces: holds(rule.flat_conditions, traces, rule.texts(traces))


def _by_signal(rule: DeclarativeRule) -> Callable[[Sequence[Trace]], Matches]:
    conditions = [signal_condition(source) for source in rule.flat_conditions]
    return lambda traces: [[condition.holds(trace.signals) for condition in conditions] for trace in traces]


def keyword_pattern(words: str) -> re.Pattern[str]:
    """The pattern of a word or phrase: in any case, any blank space between words, no letter or digit around it.

    Words are taken literally, so that nothing in them can make a search slow; a ``*`` at the end takes any ending.
    """
    literal = r"\s+".join(map(re.escape, words.removesuffix("*").split()))
    return re.compile(rf"(?<!\w){literal}" + ("" if words.endswith("*") else r"(?!\w)"), re.IGNORECASE)


_WAYS: Final[Mapping[str, Callable[[DeclarativeRule], Callable[[Sequence[Trace]], Matches]]]] = {
    "keyword": _by_keyword,
    "regex": _by_regex,
    "sql": _by_sql,
    "signal": _by_signal,
}
