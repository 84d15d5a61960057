"""What a store does, whichever its home; one contract suite runs on every implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

from promptlabel.deeds import Deed, Entry
from promptlabel.records import (
    Answer,
    Attempt,
    Event,
    Gold,
    JsonValue,
    Pick,
    RegisteredRule,
    ReviewEvent,
    Trace,
    Vote,
)
from promptlabel.store.forgettings import Forgetting, Forgotten, Kind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from promptlabel.store.connection import Row

UNSEEN: Final = 8192
"""The most votes that `Store.answers` may not know of yet."""


PLACES: Final = 1 << 64


class Part(NamedTuple):
    """The traces whose place in the order of votes lies in the part of that number, from 0, of so many equal parts."""

    number: int
    of: int

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last place."""
        return self.number * PLACES // self.of, (self.number + 1) * PLACES // self.of - 1


WHOLE: Final = Part(0, 1)


@dataclass(frozen=True, slots=True)
class Added:
    """What an ingest did: rows that were new, rows that were there already, rows of what the store has forgotten."""

    added: int
    present: int
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """All the project has ever spent: US dollars and requests."""

    usd: float
    calls: int


@dataclass(frozen=True, slots=True)
class Whom:
    """Traces by their ids, by who they are of, by their session, and those earlier than a moment."""

    traces: Sequence[str] = ()
    users: Sequence[str] = ()
    sessions: Sequence[str] = ()
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class VoteTable:
    """The current votes of one task as arrays; row i is `trace_ids[i]`, column j is `rules[j]`.

    Attributes:
        votes: int8 ``[n, m]``, index into `labels`, -1 where the rule abstained, failed or has not run.
        soft: for rules whose votes are distributions, column index -> float ``[n, K]``; rows of NaN where
            there is none.
    """

    task: str
    labels: tuple[str, ...]
    rules: tuple[RegisteredRule, ...]
    trace_ids: tuple[str, ...]
    votes: npt.NDArray[np.int8]
    soft: Mapping[int, npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LabelVotes:
    """The current votes of a task where several labels may apply; row i is `trace_ids[i]`, column j `rules[j]`.

    Attributes:
        applies: float32 ``[n, m, L]``, the probability that each of `labels` applies, NaN where the rule says nothing.
    """

    task: str
    labels: tuple[str, ...]
    rules: tuple[RegisteredRule, ...]
    trace_ids: tuple[str, ...]
    applies: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PosteriorTable:
    """The last fit of one task.

    Attributes:
        probs: float ``[n, K]`` in the order of `labels`; rows sum to one, but where several labels may apply each is
            the probability that its label does.
    """

    task: str
    labels: tuple[str, ...]
    trace_ids: tuple[str, ...]
    probs: npt.NDArray[np.float64]
    fitted_at: datetime
    chosen: str
    report: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A vote that is missing because its answer was malformed or could not be had."""

    trace_id: str
    task: str
    rule: str
    model: str
    status: Literal["malformed", "error"]
    cause: str
    text: str | None


class Store(Protocol):
    """Durable storage of one project. Methods may be called from any thread; one writer serialises them."""

    # --- what happened in production
    def add_traces(self, traces: Iterable[Trace]) -> Added:
        """Counts of new and present traces; streaming, all or nothing.

        Raises:
            InputError: for each trace id that is stored already, or repeats here, with other content.
        """
        ...

    def add_events(self, events: Iterable[Event]) -> Added:
        """Counts of new and present events; equal events are one."""
        ...

    def add_gold(self, gold: Iterable[Gold]) -> Added:
        """Counts of new and present labels, keyed by trace, task, reviewer and timestamp.

        Raises:
            InputError: for each trace id with another label of the same task, reviewer and timestamp.
        """
        ...

    def count_traces(self) -> int:
        """The number of stored traces."""
        ...

    def traces(self, ids: Sequence[str] | None = None, *, limit: int | None = None) -> Iterator[Trace]:
        """Traces in order of timestamp and id, signals attached; all of them, or those named."""
        ...

    def events(self, ids: Sequence[str] | None = None) -> Iterator[Event]:
        """Events in order of trace id and timestamp."""
        ...

    def add_signals(self, signals: Iterable[tuple[str, Mapping[str, float]]]) -> None:
        """Nothing; the signals of each trace id replace those stored for it.

        Where they differ, votes of these traces that took no request are pending again.
        """
        ...

    def traces_with_new_events(self) -> Sequence[str]:
        """Ids of traces whose signals are out of date.

        Events of theirs, or a trace of the same session or person, arrived after they were last computed.
        """
        ...

    # --- rules and their votes
    def register_rules(self, task: str, rules: Sequence[RegisteredRule]) -> None:
        """Nothing; from now on the task's current votes are those of these rules."""
        ...

    def registered_rules(self, task: str) -> Sequence[RegisteredRule]:
        """The rules last registered for the task, in their order."""
        ...

    def pending(
        self, rule: RegisteredRule, *, samples: int = 1, limit: int | None = None, part: Part = WHOLE
    ) -> Iterator[tuple[Trace, int]]:
        """Traces, and sample indices, for which the rule has no vote row of any status.

        Of all traces or a part of them; the parts of a number are disjoint, about as large, and the same in
        every home. They come in an order drawn by hashing the trace id, the same in every run, so that whatever part of
        them is done is a random sample.
        """
        ...

    def answers(self, requests: Sequence[str]) -> Mapping[str, Answer]:
        """Usable answers (vote or abstain) already paid for, by request digest.

        Those of the last `UNSEEN` votes added may be missing: who adds votes one by one, and looks up between,
        would otherwise wait for a commit each time.
        """
        ...

    def add_votes(self, votes: Sequence[Vote], attempts: Sequence[Attempt] = ()) -> None:
        """Nothing; journaled, so that they outlive this process, and soon after on the disk and in the store.

        Every later read sees them, `answers` aside. What keeps the store from taking them is raised by a later
        call. A vote whose key is present changes nothing, except that a vote or abstain replaces a malformed or
        failed one. A code rule's vote, without request and raw answer, is not journaled.
        """
        ...

    def add_packed_votes(self, packed: Sequence[Row]) -> None:
        """As `add_votes`, of what `pack` made of votes in another process: that is ten times faster on the way here."""
        ...

    def replace_votes(self, votes: Sequence[Vote]) -> None:
        """Nothing; label, status, confidence and distribution of these keys change (calibration)."""
        ...

    def votes(
        self, task: str, *, rule: str | None = None, trace_ids: Sequence[str] | None = None
    ) -> Iterator[tuple[RegisteredRule, Vote]]:
        """Current votes, by rule and store order of traces."""
        ...

    def vote_table(self, task: str, labels: Sequence[str]) -> VoteTable:
        """The current votes as arrays, rows in store order of all traces, samples of one rule merged."""
        ...

    def label_votes(self, task: str, labels: Sequence[str]) -> LabelVotes:
        """The current votes on each label, of a task where several may apply; samples of one rule averaged."""
        ...

    def count_votes(self, task: str) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """(rule, model) -> status -> number of current votes."""
        ...

    def dead_letters(self, task: str) -> Sequence[DeadLetter]:
        """Current votes that are malformed or failed."""
        ...

    def count_dead_letters(self, task: str) -> Mapping[str, int]:
        """How many current votes are malformed or failed, by cause; in little memory, however many votes there are."""
        ...

    def drop_dead_letters(self, task: str) -> int:
        """The number of malformed and failed votes taken out of the way so that they are pending again."""
        ...

    def spent(self) -> Spent:
        """All attempts ever, summed."""
        ...

    def cost(self, task: str) -> Mapping[tuple[str, str], Spent]:
        """(rule, model) -> what its attempts cost."""
        ...

    # --- what follows from votes
    def save_posteriors(self, table: PosteriorTable) -> None:
        """Nothing; the task's last fit is this one."""
        ...

    def posteriors(self, task: str) -> PosteriorTable | None:
        """The task's last fit, or None before the first."""
        ...

    def save_queue(self, task: str, picks: Sequence[Pick]) -> None:
        """Nothing; items that nobody has decided are replaced, decided ones stay as history."""
        ...

    def queue(self, task: str, *, undecided: bool = False) -> Sequence[Pick]:
        """The task's queue in order of presentation; with `undecided`, without what has been reviewed."""
        ...

    # --- what people said
    def add_review(self, event: ReviewEvent) -> bool:
        """Whether the event was new; durable when this returns, and first in line of all writes."""
        ...

    def reviews(self, task: str) -> Sequence[ReviewEvent]:
        """All events of the task in order of arrival."""
        ...

    def gold(self, task: str) -> Sequence[Gold]:
        """Labels by people as ingested (not those of the review page, which `reviews` holds)."""
        ...

    def add_deed(self, deed: Deed) -> Entry:
        """The deed as it stands in the history, sealed after all that came before; durable when this returns."""
        ...

    def deeds(self) -> Iterator[Entry]:
        """All deeds of all homes the project ever had, in order; `first_broken` says whether they are sound."""
        ...

    # --- versions and state
    def save_state(self, name: str, value: JsonValue) -> None:
        """Nothing; a small named value (last report, eval versions) is kept."""
        ...

    def state(self, name: str) -> JsonValue:
        """The named value, or None."""
        ...

    # --- what is forgotten
    def matching(self, whom: Whom) -> Sequence[str]:
        """Ids of the stored traces that are meant, sorted."""
        ...

    def footprint(self, ids: Sequence[str]) -> Mapping[str, int]:
        """Table -> how many rows are about these traces, whether or not the traces themselves are stored."""
        ...

    def forget(self, forgetting: Forgetting) -> Mapping[str, int]:
        """Table -> how many rows went, at once or not at all; the same forgetting again does nothing.

        Everything about a trace goes, and what comes later about it is left out, counted where it is ingested. What
        its votes cost stays, without the request. A forgetting that is `remembered` lets its names in again.
        """
        ...

    def forgotten(self, kind: Kind, names: Sequence[str]) -> frozenset[str]:
        """Those of the names that the store has forgotten and takes no more."""
        ...

    def forgettings(self) -> Sequence[Forgotten]:
        """All forgettings, oldest first."""
        ...

    def forgetting(self, key: str) -> Forgetting:
        """The forgetting of that key with those of its marks that count still."""
        ...

    def erase(self) -> None:
        """Nothing; the store's files keep no byte of what was forgotten, once it is closed by who holds it."""
        ...

    def hold(self, name: str) -> AbstractContextManager[None]:
        """A context in which no other process is in one of that name; what is written in it proves that.

        A process that was silent too long loses its hold to the next that asks, and is refused from then on.

        Raises:
            StoreError: if another process holds it; the message says which.
        """
        ...

    def squeezed(self) -> AbstractContextManager[None]:
        """A context in which a store that was opened lean keeps little in memory.

        Enough to add votes, to look answers up and to go through what was pending before it; for nothing else.
        """
        ...

    def settle(self) -> None:
        """Nothing, once everything that was added is durable."""
        ...

    def close(self) -> None:
        """Nothing; everything accepted is durable and the file is free for others."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class ComputesSignals(Protocol):
    """A store that computes signals where they lie, the same as `compute_signals` would."""

    def update_signals(self) -> int:
        """The number of traces whose signals were out of date and are computed anew."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """Who wants up to `count` of which queued traces for how many seconds; each with how many may have or label it."""

    task: str
    reviewer: str
    wanted: Mapping[str, int]
    count: int
    seconds: float


@runtime_checkable
class SharedQueue(Protocol):
    """A store whose queue several review pages hand out at once."""

    def lease(self, asked: LeaseRequest) -> Sequence[str]:
        """The traces, in the order they were wanted, that the reviewer now has beside none but who may.

        Who has a trace already has it anew; who decides it has it no longer.
        """
        ...

    def reviews_since(self, task: str, arrival: int) -> tuple[Sequence[ReviewEvent], int]:
        """The task's events that arrived later than that, in order, and how far they go; 0 is before the first."""
        ...


class Tenure(NamedTuple):
    """The right to do what only one process may do at a time; a greater token ends a smaller one's."""

    name: str
    token: int


@runtime_checkable
class Fences(Protocol):
    """A store that can refuse a process which is replaced while it may still live."""

    @property
    def tenures(self) -> Sequence[Tenure]:
        """What this process holds (see `Store.hold`) or works under."""
        ...

    def fence(self, name: str) -> Tenure:
        """A tenure newer than any of that name: what is written under an older one is refused from now on."""
        ...

    def under(self, tenures: Sequence[Tenure]) -> AbstractContextManager[None]:
        """A context in which everything that is written proves that these tenures are the newest of their names."""
        ...
