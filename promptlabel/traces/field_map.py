"""A mapping file: where a foreign log has the fields of traces, events and gold, so that any log can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from promptlabel.errors import Fault, InputError, nearest
from promptlabel.records import JsonValue, digest
from promptlabel.strict_yaml import Document, Keys, StrictModel, faults_of, load_yaml, read_text
from promptlabel.traces.parts import JsonObject, opened
from promptlabel.traces.places import Place, as_scalar, as_text, found, must_be_somewhere, path_of

Sourced: TypeAlias = "tuple[JsonObject, Mapping[str, str]]"
"""An object of the interface, and for each of its keys the place that it came from."""

_MOST_KEYS: Final = 1000


class MessagesMap(StrictModel):
    """Where the list of messages is, and where in each of them its parts are."""

    each: Place
    role: Place = "role"
    content: Place = "content"
    timestamp: Place = "timestamp?"

    def messages_of(self, row: JsonObject) -> JsonValue:
        """The messages of the row; what is no list as it is, to be refused later."""
        listed = opened(found(row, self.each))
        return [self._message(item) for item in listed] if isinstance(listed, list) else listed

    def _message(self, item: JsonValue) -> JsonValue:
        if not isinstance(item, Mapping):
            return item
        said = {"role": as_text(found(item, self.role)), "content": found(item, self.content)}
        return {**item, **said, "timestamp": found(item, self.timestamp)}


def _spelled_out(given: object) -> object:
    return {"each": given} if isinstance(given, str) else given


class _Part(StrictModel):
    """What all kinds share: an id, and the knowledge of where each key comes from."""

    trace_id: Place | None = None

    @cached_property
    def sources(self) -> dict[str, str]:
        """For each key of ours the place that it comes from."""
        given = {key: getattr(self, key) for key in type(self).model_fields}
        places = {
            key: place.each if isinstance(place, MessagesMap) else place for key, place in given.items()
        }
        return {key: place for key, place in places.items() if isinstance(place, str)}

    @property
    def heads(self) -> set[str]:
        """The fields of a row that the part reads, or reads a part of."""
        inner = getattr(self, "metadata", None) or {}
        paths = {path_of(place) for place in (*self.sources.values(), *inner.values())}
        return paths | {path.partition(".")[0] for path in paths}

    def id_of(self, row: JsonObject, of_trace: JsonValue) -> JsonValue:
        """The id at the part's own place, else that of the row's trace."""
        return of_trace if self.trace_id is None else as_text(found(row, self.trace_id))


class TraceMap(_Part):
    """Where a row has the fields of a trace; what nothing is read from becomes metadata, unless that is mapped."""

    timestamp: Place | None = None
    input: Place | None = None
    output: Place | None = None
    messages: Annotated[MessagesMap | None, BeforeValidator(_spelled_out)] = None
    category: Place | None = None
    session_id: Place | None = None
    user_id: Place | None = None
    metadata: dict[str, Place] | None = None

    @model_validator(mode="after")
    def _has_content(self) -> TraceMap:
        if self.input is None and self.output is None and self.messages is None:
            raise ValueError("one of input, output and messages is required")
        return self

    def object_of(self, row: JsonObject) -> JsonObject:
        """The trace of the row, without an id where none is mapped."""
        texts = ("input", "output", "category", "session_id", "user_id")
        trace = {
            "timestamp": found(row, self.timestamp),
            **{key: as_text(found(row, getattr(self, key))) for key in texts},
            "messages": None if self.messages is None else self.messages.messages_of(row),
            "metadata": None if self.metadata is None else _metadata(row, self.metadata),
        }
        known = {key: value for key, value in trace.items() if value is not None}
        return {"trace_id": self.id_of(row, None), **known} if self.trace_id else known


class EventMap(_Part):
    """Where a row has an event; a row without its value (without its time, where none is mapped) has none."""

    timestamp: Place
    event: Place
    value: Place | None = None
    metadata: dict[str, Place] = Field(default_factory=dict)

    def object_of(self, row: JsonObject, of_trace: JsonValue) -> JsonObject:
        """The event of the row, empty where there is none."""
        moment, value = found(row, self.timestamp), as_scalar(found(row, self.value))
        if (moment if self.value is None else value) is None:
            return {}
        return {
            "trace_id": self.id_of(row, of_trace),
            "timestamp": moment,
            "event": as_text(found(row, self.event)),
            "value": value,
            "metadata": _metadata(row, self.metadata),
        }


class GoldMap(_Part):
    """Where a row has a person's label; a row without one has none."""

    task: Place
    label: Place
    reviewer: Place
    timestamp: Place
    blind: Place | None = None
    lane: Place | None = None
    probability: Place | None = None

    def object_of(self, row: JsonObject, of_trace: JsonValue) -> JsonObject:
        """The label of the row, empty where there is none."""
        if found(row, self.label) is None:
            return {}
        texts = ("task", "label", "reviewer", "lane")
        return {
            "trace_id": self.id_of(row, of_trace),
            "timestamp": found(row, self.timestamp),
            **{key: as_text(found(row, getattr(self, key))) for key in texts},
            **{key: as_scalar(found(row, getattr(self, key))) for key in ("blind", "probability")},
        }


class _Places(StrictModel):
    trace: TraceMap | None = None
    events: list[EventMap] = Field(default_factory=list)
    gold: list[GoldMap] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_ids(self) -> _Places:
        if not (self.trace or self.events or self.gold):
            raise ValueError("maps nothing: one of trace, events and gold is required")
        if self.trace is None and any(part.trace_id is None for part in (*self.events, *self.gold)):
            raise ValueError("trace_id is required in events and gold where there is no trace")
        return self


class FieldMap:
    """Rows of a foreign log as objects of the interface, and which of the mapped places no row has."""

    def __init__(self, places: _Places, document: Document) -> None:
        self._document = document
        self._trace = places.trace
        self._others: tuple[EventMap | GoldMap, ...] = (*places.events, *places.gold)
        self._required = dict(_required_places(places.model_dump()))
        parts = (*([places.trace] if places.trace else []), *self._others)
        self._taken = frozenset[str]().union(*(part.heads for part in parts))
        self._begin()

    def _begin(self) -> None:
        self._missing = set(self._required)
        self._keys: set[str] = set()

    def objects_of(self, row: JsonObject) -> list[Sourced]:
        """The trace, events and gold that the row holds; a trace without a place for its id is named by its digest."""
        self._look_for_missing(row)
        traces = [] if self._trace is None else [(self._trace_in(row, self._trace), self._trace.sources)]
        of_trace = traces[0][0]["trace_id"] if traces else None
        others = [(part.object_of(row, of_trace), part.sources) for part in self._others]
        return [*traces, *((thing, sources) for thing, sources in others if thing)]

    def _trace_in(self, row: JsonObject, places: TraceMap) -> JsonObject:
        trace = places.object_of(row)
        if places.metadata is None:
            # Not what events and gold are read from: feedback that comes later must not change the trace.
            rest = {key: value for key, value in row.items() if key not in self._taken}
            trace = {**trace, "metadata": rest}
        return trace if places.trace_id else {"trace_id": digest(trace), **trace}

    def finish(self) -> list[Fault]:
        """A fault for each place that no row had since the last call, if there were rows."""
        missing = sorted(self._missing) if self._keys else []
        faults = [
            self._document.fault(
                f"no row has '{place}'{nearest(place, self._keys)}; write '{place}?' if none need have it",
                self._required[place],
            )
            for place in missing
        ]
        self._begin()
        return faults

    def _look_for_missing(self, row: JsonObject) -> None:
        if len(self._keys) < _MOST_KEYS:
            self._keys.update(row)
        if self._missing:
            self._missing = {
                place for place in self._missing if place not in row and found(row, place) is None
            }


def read_field_map(path: Path) -> FieldMap:
    """The mapping in the YAML file.

    Raises:
        InputError: with every fault of the file.
    """
    if not path.is_file():
        raise InputError(Fault("no such file", str(path)))
    document = load_yaml(read_text(path), str(path))
    try:
        return FieldMap(_Places.model_validate(document.data), document)
    except ValidationError as error:
        raise InputError(faults_of(error, document, _Places)) from None


def _required_places(value: object, path: Keys = ()) -> Iterator[tuple[str, Keys]]:
    """The places that some row must have; those inside a message are looked for in messages, not in rows."""
    if isinstance(value, str) and must_be_somewhere(value):
        yield value, path
    if isinstance(value, list):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        inner = value if path[-1:] != ("messages",) else {"each": value["each"]}
        for key, item in inner.items():
            yield from _required_places(item, (*path, key))


def _metadata(row: JsonObject, places: Mapping[str, Place]) -> JsonObject:
    values = {key: found(row, place) for key, place in places.items()}
    return {key: value for key, value in values.items() if value is not None}
