"""A frozen version of an eval set: its cases and its manifest, as records and as the bytes of its two files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from promptlabel.errors import Fault, InputError, raise_if_any
from promptlabel.records import JsonValue, Message, Trace, trace_record

CASES_FILE: Final = "cases.jsonl"
MANIFEST_FILE: Final = "manifest.json"
LATEST: Final = "latest"


@dataclass(frozen=True)
class Case:
    """One labelled trace of an eval set, and how its label came to be.

    Attributes:
        since: the version that first held this trace with this label.
        as_of: when the label was decided.
        lane: the lane of the queue that chose it, None where the gold was brought from elsewhere.
        probability: with what probability it was chosen, None where that is unknown.
        weight: how many traces it stands for: one over the probability that it was chosen and not left out by a
            quota; None where that is unknown.
        hard: why it is harder than most, empty where nothing says so.
    """

    trace: Trace
    task: str
    label: str
    since: str
    as_of: datetime
    reviewers: tuple[str, ...]
    lane: str | None = None
    probability: float | None = None
    weight: float | None = None
    hard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvalVersion:
    """A frozen version.

    Attributes:
        cases: in order of trace id.
        manifest: the JSON object of its file.
        forgotten: how many more cases its file has, of traces that were forgotten since.
    """

    task: str
    version: str
    cases: tuple[Case, ...]
    manifest: Mapping[str, JsonValue]
    forgotten: int = 0

    @property
    def trace_ids(self) -> frozenset[str]:
        """The ids of the traces it holds."""
        return frozenset(case.trace.trace_id for case in self.cases)

    def without(self, gone: Collection[str]) -> EvalVersion:
        """The version as it counts once these traces are forgotten, its files as they were."""
        kept = tuple(case for case in self.cases if case.trace.trace_id not in gone)
        return replace(self, cases=kept, forgotten=self.forgotten + len(self.cases) - len(kept))


def case_record(case: Case) -> dict[str, Any]:
    """The case as the JSON object of its line; only people who had seen no vote decide, so `blind` is true."""
    return trace_record(case.trace) | {
        "task": case.task,
        "label": case.label,
        "since": case.since,
        "as_of": case.as_of,
        "reviewers": list(case.reviewers),
        "blind": True,
        "lane": case.lane,
        "probability": case.probability,
        "weight": case.weight,
        "hard": list(case.hard),
    }


def cases_bytes(cases: Iterable[Case]) -> bytes:
    """The content of ``cases.jsonl``: one case a line, keys sorted, times in UTC."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_PASSTHROUGH_DATETIME
    return b"".join(orjson.dumps(case_record(case), default=_plain, option=options) for case in cases)


def manifest_bytes(manifest: Mapping[str, JsonValue]) -> bytes:
    """The content of ``manifest.json``: keys sorted, indented by two."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(manifest, default=_plain, option=options)


def named_version(versions: Sequence[EvalVersion], name: str) -> EvalVersion | None:
    """The version of this name, the last one for ``latest``; None where there is no such."""
    if name == LATEST:
        return versions[-1] if versions else None
    return next((version for version in versions if version.version == name), None)


def content_hash(cases: bytes) -> str:
    """SHA-256 of ``cases.jsonl`` in hexadecimal, as ``sha256sum`` prints it."""
    return hashlib.sha256(cases).hexdigest()


def version_order(version: str) -> tuple[int, ...]:
    """(year, month, number) of ``YYYY.MM.N``, so that 2026.11.10 follows 2026.11.9."""
    return tuple(int(part) for part in version.split("."))


def read_versions(folder: Path) -> tuple[EvalVersion, ...]:
    """The frozen versions in a task's folder, oldest first, each verified against its content hash.

    Raises:
        InputError: for each version that was edited, is incomplete or cannot be read.
    """
    found: list[EvalVersion] = []
    faults: list[Fault] = []
    for path in sorted(_version_folders(folder), key=lambda path: version_order(path.name)):
        try:
            found.append(read_version(path))
        except InputError as error:
            faults.extend(error.faults)
    raise_if_any(faults)
    return tuple(found)


def read_version(folder: Path) -> EvalVersion:
    """The frozen version in a folder.

    Raises:
        InputError: where a file is missing or no JSON, or the cases are not those that were frozen.
    """
    try:
        cases, manifest = (folder / CASES_FILE).read_bytes(), (folder / MANIFEST_FILE).read_bytes()
        parsed = orjson.loads(manifest)
        if content_hash(cases) not in _contents(parsed):
            raise InputError(Fault(_EDITED, file=str(folder / CASES_FILE)))
        rows = tuple(_case(orjson.loads(line)) for line in cases.splitlines())
        return EvalVersion(parsed["task"], parsed["version"], rows, parsed)
    except OSError as error:
        raise InputError(
            Fault(f"{error.strerror}; a version is two files", file=str(error.filename))
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(Fault(f"not a frozen eval version ({error})", file=str(folder))) from error


def _contents(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The hash of the cases, and while they are being rewritten the one they had before."""
    earlier = manifest.get("rewritten", ())
    return (manifest["content"], *(one["content_before"] for one in earlier[-1:]))


_EDITED = (
    "edited after it was frozen (its hash is not the manifest's); restore it, and freeze corrections anew"
)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _version_folders(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _is_version(path.name)]


def _is_version(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 3 and all(part.isdigit() for part in parts)


def _case(record: dict[str, Any]) -> Case:
    return Case(
        trace=_trace(record),
        task=record["task"],
        label=record["label"],
        since=record["since"],
        as_of=datetime.fromisoformat(record["as_of"]),
        reviewers=tuple(record["reviewers"]),
        lane=record["lane"],
        probability=record["probability"],
        weight=record.get("weight"),
        hard=tuple(record.get("hard", ())),
    )


def _trace(record: dict[str, Any]) -> Trace:
    return Trace(
        trace_id=record["trace_id"],
        timestamp=_moment(record.get("timestamp")),
        input=record.get("input"),
        output=record.get("output"),
        messages=tuple(
            Message(turn["role"], turn["content"], _moment(turn.get("timestamp")))
            for turn in record.get("messages", ())
        ),
        category=record.get("category"),
        session_id=record.get("session_id"),
        user_id=record.get("user_id"),
        metadata=record.get("metadata", {}),
        outputs=tuple(record.get("outputs", ())),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
