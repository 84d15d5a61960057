"""What every reviewer of a task did so far: what can be undone, who has seen which votes, what was shown to whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from promptlabel.records import ReviewEvent
from promptlabel.review.adjudication import SHOWN


class History:
    """The events of a task in order of arrival, indexed; they are only ever added to."""

    def __init__(self, events: Iterable[ReviewEvent] = ()) -> None:
        self.events: list[ReviewEvent] = []
        self._ids: set[str] = set()
        self._informed: set[tuple[str, str]] = set()
        self._undoable: dict[str, dict[str, ReviewEvent]] = {}
        self._untold: dict[str, dict[str, ReviewEvent]] = {}
        for event in events:
            self.add(event)

    def __contains__(self, event_id: object) -> bool:
        return event_id in self._ids

    def add(self, event: ReviewEvent) -> None:
        """Nothing; the event has happened."""
        self._ids.add(event.event_id)
        self.events.append(event)
        if event.action in SHOWN:
            self._show(event)
            return
        own = self._undoable.setdefault(event.reviewer, {})
        if event.action == "undo":
            own.pop(event.undoes or "", None)
        else:
            own[event.event_id] = event
        if event.label is not None:
            self._informed.add((event.reviewer, event.trace_id))

    def is_informed(self, reviewer: str, trace_id: str) -> bool:
        """Whether the reviewer has seen what the rules say of the trace."""
        return (reviewer, trace_id) in self._informed

    def undoable(self, reviewer: str, event_id: str | None) -> ReviewEvent | None:
        """The reviewer's event of that id, or without one their last, where it was not taken back before."""
        own = self._undoable.get(reviewer, {})
        return own.get(event_id) if event_id is not None else next(reversed(own.values()), None)

    def acted_on(self, reviewer: str) -> Iterator[str]:
        """The traces on which an event of the reviewer stands, each once."""
        return iter(dict.fromkeys(event.trace_id for event in self._undoable.get(reviewer, {}).values()))

    def untold(self, reviewer: str) -> Sequence[ReviewEvent]:
        """The wrong suggestions the reviewer was shown and does not know to be wrong yet."""
        return tuple(self._untold.get(reviewer, {}).values())

    def _show(self, event: ReviewEvent) -> None:
        own = self._untold.setdefault(event.reviewer, {})
        if event.action == "suggest":
            own[event.event_id] = event
        else:
            own.pop(event.undoes or "", None)
