"""Rules written in Python: a function from a trace to a label, or to None to abstain."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard, overload

from promptlabel.errors import PromptlabelError, nearest
from promptlabel.label_sets import NONE
from promptlabel.records import ABSTAIN, Trace, digest
from promptlabel.rules.code_meaning import constant_meaning, function_meaning

HeuristicKind: TypeAlias = Literal["heuristic", "signal"]
LabelFunction: TypeAlias = Callable[[Trace], str | None]


class HeuristicError(PromptlabelError):
    """A heuristic raised, or returned what is not a label; names the rule and the trace, whose cell alone fails.

    Attributes:
        cause: what went wrong, without the trace it went wrong on.
    """

    def __init__(self, rule: str, trace_id: str, cause: str) -> None:
        self.rule = rule
        self.trace_id = trace_id
        self.cause = cause
        super().__init__(f"heuristic {rule}, trace {trace_id}: {cause}")


@dataclass(frozen=True, slots=True)
class HeuristicFunction:
    """A function marked as a rule; it can still be called like the function it was."""

    function: LabelFunction
    kind: HeuristicKind = "heuristic"
    description: str = ""

    @property
    def name(self) -> str:
        """The rule's name, which is the function's."""
        return getattr(self.function, "__name__", "")

    def __call__(self, trace: Trace) -> str | None:
        """What the function returns."""
        return self.function(trace)


@overload
def heuristic(function: LabelFunction) -> HeuristicFunction: ...
@overload
def heuristic(
    *, kind: HeuristicKind = "heuristic", description: str = ""
) -> Callable[[LabelFunction], HeuristicFunction]: ...
def heuristic(
    function: LabelFunction | None = None, *, kind: HeuristicKind = "heuristic", description: str = ""
) -> HeuristicFunction | Callable[[LabelFunction], HeuristicFunction]:
    """The function as a rule of the task in whose `heuristics.py` it stands; `@heuristic` or `@heuristic(...)`.

    Args:
        function: takes a `Trace`, returns a label's name, or None to abstain.
        kind: ``signal`` where it reads nothing but `trace.signal(...)`.
        description: one line for reviewers; by default the first line of the docstring.
    """

    def mark(marked: LabelFunction) -> HeuristicFunction:
        first_line = (inspect.getdoc(marked) or "").partition("\n")[0]
        return HeuristicFunction(marked, kind, description or first_line)

    return mark if function is None else mark(function)


Said: TypeAlias = str | Mapping[str, float] | HeuristicError | None
"""What a rule without a model says of a trace."""


class CodeRule(Protocol):
    """A rule that decides without a model."""

    @property
    def name(self) -> str:
        """The rule's name."""
        ...

    @property
    def task(self) -> str:
        """The task's name."""
        ...

    @property
    def kind(self) -> HeuristicKind:
        """``signal`` where it reads behaviour alone, else ``heuristic``."""
        ...

    @property
    def description(self) -> str:
        """One line for reviewers."""
        ...

    @property
    def rule_hash(self) -> str:
        """The digest of what decides."""
        ...

    def labels_of(self, traces: Sequence[Trace]) -> Sequence[Said]:
        """For each trace the label, None where the rule abstains, or what went wrong there.

        Where several labels may apply, of each label that the rule speaks of whether it does.
        """
        ...


class SnorkelFunction(Protocol):
    """What we use of Snorkel's `LabelingFunction`: it is called with a trace and returns an index or a name."""

    name: str
    _f: Callable[..., Any]
    _resources: Mapping[str, Any]

    def __call__(self, x: Trace) -> Any:
        """A label's index or name; -1 abstains."""
        ...


def is_snorkel_function(value: object) -> TypeGuard[SnorkelFunction]:
    """Whether the object is a labeling function of Snorkel, told by its attributes: Snorkel is not imported."""
    attributes = ("name", "_f", "_resources")
    return (
        callable(value) and not isinstance(value, type) and all(hasattr(value, name) for name in attributes)
    )


@dataclass(frozen=True, eq=False)
class Heuristic:
    """A code rule of a task.

    Attributes:
        is_set: whether several labels may apply. The function then returns those that do, as a name or a list of names,
            and says nothing of the others; or a mapping from labels to True and False; or ``"none"``, none of them.
    """

    task: str
    labels: tuple[str, ...]
    source: HeuristicFunction | SnorkelFunction
    is_set: bool = False

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.source.name

    @property
    def kind(self) -> HeuristicKind:
        """``signal`` where it reads behaviour alone, else ``heuristic``."""
        return self.source.kind if isinstance(self.source, HeuristicFunction) else "heuristic"

    @property
    def description(self) -> str:
        """One line for reviewers."""
        return self.source.description if isinstance(self.source, HeuristicFunction) else ""

    @cached_property
    def rule_hash(self) -> str:
        """The digest of what the code does, with the constants and functions of its module that it names.

        Comments, formatting, docstrings and its own name are no part of it.

        Raises:
            OSError: the source of the function cannot be found.
        """
        if isinstance(self.source, HeuristicFunction):
            meaning = function_meaning(self.source.function)
            return digest([meaning, self.labels, "several"] if self.is_set else meaning)
        function, resources = self.source._f, self.source._resources  # noqa: SLF001  (Snorkel has no public names for them)
        return digest([function_meaning(function), constant_meaning(resources), self.labels])

    def label(self, trace: Trace) -> str | Mapping[str, float] | None:
        """The label of a trace, or None where the rule abstains; where several may apply, whether each does.

        Raises:
            HeuristicError: the function raised, or returned something that is not a label of the task.
        """
        try:
            said = self.source(trace)
        except Exception as error:  # the function is a user's: whatever it raises fails this cell
            raise HeuristicError(self.name, trace.trace_id, f"{type(error).__name__}: {error}") from error
        if self.is_set:
            return self._set_of(said, trace)
        if said is None or (isinstance(said, str) and said in self._known):
            return said
        return self._label_of_index(said, trace)

    def labels_of(self, traces: Sequence[Trace]) -> list[Said]:
        """For each trace the label, None where the rule abstains, or what went wrong there."""
        return [self._label_or_error(trace) for trace in traces]

    def _label_or_error(self, trace: Trace) -> Said:
        try:
            return self.label(trace)
        except HeuristicError as error:
            return error

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.labels)

    def _set_of(self, said: object, trace: Trace) -> dict[str, float] | None:
        """Of each label that the function spoke of, whether it applies."""
        if said is None or (isinstance(said, Sized) and not len(said)):
            return None
        if isinstance(said, str) and said == NONE:
            return dict.fromkeys(self.labels, 0.0)
        if not isinstance(said, Collection):
            raise HeuristicError(
                self.name, trace.trace_id, f"{said!r} is no label, list of labels or mapping of them"
            )
        named = (
            said
            if isinstance(said, Mapping)
            else dict.fromkeys([said] if isinstance(said, str) else said, True)
        )
        for label in named:
            if label not in self._known:
                hint = nearest(str(label), self.labels)
                raise HeuristicError(self.name, trace.trace_id, f"{label!r} is not a label{hint}")
        return {label: float(bool(named[label])) for label in self.labels if label in named}

    def _label_of_index(self, said: object, trace: Trace) -> str | None:
        """The label behind what a Snorkel function returned; of our own functions no number is taken."""
        index = None if isinstance(said, bool | str) else _index(said)
        if isinstance(self.source, HeuristicFunction) or index is None:
            hint = nearest(said, self.labels) if isinstance(said, str) else nearest("", self.labels)
            raise HeuristicError(self.name, trace.trace_id, f"{said!r} is not a label{hint}")
        if index == ABSTAIN:
            return None
        if not 0 <= index < len(self.labels):
            raise HeuristicError(self.name, trace.trace_id, f"{index} is not the index of a label")
        return self.labels[index]


def _index(value: object) -> int | None:
    """The whole number that a value is, NumPy's among them; None where it is none."""
    try:
        return value.__index__()  # type: ignore[attr-defined, no-any-return]
    except AttributeError:
        return None
