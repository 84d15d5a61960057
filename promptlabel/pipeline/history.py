"""`history`: who did what, from where and when, and whether anybody tampered with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from promptlabel.deeds import Deed, Entry, first_broken
from promptlabel.store.contract import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deeds are asked for: all of them where nothing is said."""

    person: str | None = None
    verb: str | None = None
    since: datetime | None = None

    def __contains__(self, deed: Deed) -> bool:
        return (
            self.person in (None, deed.person)
            and self.verb in (None, deed.verb)
            and (self.since is None or deed.at >= self.since)
        )


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """The history, or the latest of what was asked for.

    Attributes:
        entries: an object each: number, seal, and all that a `Deed` has.
        matching: how many there are of that kind.
        total: how many entries there are at all.
        first_broken: the number of the first entry that does not follow from those before, None where all do.
        seal: that of the last entry; kept elsewhere, it shows later whether this history is still part of it.
        holds: whether the seal asked for is in it, None where none was asked for.
    """

    entries: tuple[dict[str, Any], ...]
    matching: int
    total: int
    first_broken: int | None
    seal: str | None
    holds: bool | None = None

    @property
    def exit_code(self) -> int:
        """1 where the history was tampered with."""
        return 1 if self.first_broken is not None or self.holds is False else 0


def history(store: Store, wanted: Wanted = Wanted(), *, most: int, seal: str | None = None) -> HistoryReport:
    """The latest `most` deeds that are wanted, oldest first; the whole chain is recomputed."""
    entries = list(store.deeds())
    matching = [entry for entry in entries if entry.deed in wanted]
    broken = first_broken(entries)
    return HistoryReport(
        entries=tuple(map(_shown, matching[-most:])),
        matching=len(matching),
        total=len(entries),
        first_broken=broken.number if broken else None,
        seal=entries[-1].seal if entries else None,
        holds=None if seal is None else any(entry.seal == seal for entry in entries),
    )


def _shown(entry: Entry) -> dict[str, Any]:
    return {"number": entry.number, **asdict(entry.deed), "seal": entry.seal}
