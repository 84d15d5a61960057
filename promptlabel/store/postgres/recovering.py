"""The journal of this process, and what journals of ended processes of this machine have and the database lacks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from promptlabel.store.journal import Journal, read
from promptlabel.store.journal_slots import Slot, take_all_free
from promptlabel.store.postgres import tables
from promptlabel.store.postgres.committing import Committer
from promptlabel.store.postgres.session import Address
from promptlabel.store.replay import LINES_A_COMMIT, apply, intact
from promptlabel.store.rows import chunks


@dataclass(frozen=True, slots=True)
class Recovered:
    """A journal that is this process's own from now on.

    Attributes:
        entries: how many the database lacked, of this and the other journals that nobody had; now in it.
        torn: bytes of last lines cut off, as a crash leaves them.
    """

    journal: Journal
    committer: Committer
    slot: Slot
    entries: int
    torn: int

    def close(self) -> None:
        """Nothing; other processes may have the journal."""
        with ExitStack() as last:
            last.callback(self.slot.release)
            last.callback(self.committer.close)
            self.journal.close()


def recover(address: Address, folder: Path, patience: float) -> Recovered:
    """The first journal that no process has, once the database has what all such journals say.

    Raises:
        StoreError: if the database cannot be reached, or a journal is damaged where the database may lack it.
    """
    with ExitStack() as opened:
        slots = list(take_all_free(folder))
        for slot in slots:
            opened.callback(slot.release)
        own, *others = [_recovered(address, slot, patience, opened) for slot in slots]
        opened.pop_all()
    for other in others:
        other.close()
    every = (own, *others)
    return replace(own, entries=sum(one.entries for one in every), torn=sum(one.torn for one in every))


def _recovered(address: Address, slot: Slot, patience: float, opened: ExitStack) -> Recovered:
    committer = Committer(address, slot.journal, patience)
    opened.callback(committer.close)
    committer.begin()
    journal = Journal(slot.folder, committer.position)
    opened.callback(journal.close)
    return Recovered(journal, committer, slot, _catch_up(committer, slot.folder), journal.torn)


def _catch_up(committer: Committer, folder: Path) -> int:
    """The number of journal entries that the database lacked and now has."""
    applied = 0
    for lines in chunks(map(intact, read(folder, committer.position)), LINES_A_COMMIT):
        entries: list[Mapping[str, Any]] = [line.entry for line in lines if line.entry]
        committer.write(partial(apply, entries=entries, changes=tables.CHANGES), lines[-1].end)
        applied += len(entries)
    return applied
