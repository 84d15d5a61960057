"""What the project knows of its batches: written, submitted, collected, each on the disk before the next step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from promptlabel.settings import Project
from promptlabel.store.contract import Spent
from promptlabel.store.files import sync
from promptlabel.store.journal import START, Journal, encode, read

_KIND: Final = "batch"


class Slot(NamedTuple):
    """A vote that waits for a batch: the digest of its request, whose it is, and how often it was asked for before."""

    request: str
    rule: str
    trace_id: str
    sample: int
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was written and is not collected.

    Attributes:
        calls, usd: set aside of the budget for it: its questions, and more than they can cost.
        runner: the name that whoever runs it gave it; None while nobody is known to have accepted it.
    """

    name: str
    task: str
    model: str
    path: str
    calls: int
    usd: float
    runner: str | None = None


class BatchLog:
    """The open batches of a project, and a journal of what happened to them.

    Attributes:
        folder: where the journal, requests, slots and answers lie.
        open: batches by name, in the order in which they were written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: dict[str, Batch] = {}
        self._journal: Journal | None = None
        for line in read(folder):
            if line.entry is not None:
                self._apply(line.entry)

    @classmethod
    def of(cls, project: Project) -> BatchLog:
        """The project's log."""
        return cls(project.state / "batches")

    @property
    def reserved(self) -> Spent:
        """What open batches may still cost."""
        return Spent(
            sum(batch.usd for batch in self.open.values()), sum(batch.calls for batch in self.open.values())
        )

    def requests_file(self, name: str) -> Path:
        """The batch's requests, a line each."""
        return self.folder / f"{name}.requests.jsonl"

    def replies_file(self, name: str) -> Path:
        """All that came back for the batch, kept for good."""
        return self.folder / f"{name}.replies.jsonl"

    def slots(self, name: str) -> Iterator[Slot]:
        """The votes that wait for the batch, in the order of its requests."""
        with self._slots_file(name).open("rb") as lines:
            for line in lines:
                yield Slot(*orjson.loads(line))

    def written(self, batch: Batch, slots: Iterable[Slot]) -> None:
        """Nothing; the batch is open, its requests and slots durable."""
        self._slots_file(batch.name).write_bytes(b"".join(orjson.dumps(list(slot)) + b"\n" for slot in slots))
        sync(self._slots_file(batch.name))
        sync(self.requests_file(batch.name))
        self._append("written", asdict(batch))

    def submitted(self, name: str, runner: str) -> None:
        """Nothing; it is durable under which name the runner has the batch."""
        self._append("submitted", {"name": name, "runner": runner})

    def received(self, name: str, replies: bytes) -> Path:
        """The file of the batch's replies, whole and durable."""
        file = self.replies_file(name)
        part = file.with_suffix(".part")
        part.write_bytes(replies)
        sync(part)
        part.replace(file)
        return file

    def collected(self, name: str) -> None:
        """Nothing; the batch is closed, and what was set aside for it is free."""
        self._append("collected", {"name": name})

    def close(self) -> None:
        """Nothing; the journal is closed."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _slots_file(self, name: str) -> Path:
        return self.folder / f"{name}.slots.jsonl"

    def _append(self, event: str, fields: Mapping[str, object]) -> None:
        if self._journal is None:
            self._journal = Journal(self.folder, START)
        entry = {"kind": _KIND, "event": event, **fields}
        self._journal.append([encode(entry)])
        self._journal.sync()
        self._apply(entry)

    def _apply(self, entry: Mapping[str, object]) -> None:
        fields = {key: value for key, value in entry.items() if key not in ("kind", "event")}
        name = str(fields["name"])
        match entry["event"]:
            case "written":
                self.open[name] = Batch(**fields)  # type: ignore[arg-type]
            case "submitted":
                self.open[name] = replace(self.open[name], runner=str(fields["runner"]))
            case "collected":
                del self.open[name]
