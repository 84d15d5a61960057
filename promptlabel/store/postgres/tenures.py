"""What only one process may do at a time: taken, kept by a heartbeat, and lost to whoever comes after a silence."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from promptlabel.errors import StoreError
from promptlabel.store.contract import Tenure
from promptlabel.store.postgres.committing import Committer, owner_of, this_process
from promptlabel.store.postgres.reading import Readers, only

SECONDS: Final = 60.0
"""How long a silent process keeps its tenure; a database that restarts is back long before."""


class Tenures:
    """The tenures of this process; what it commits while it has one proves that it still does."""

    def __init__(self, committer: Committer, readers: Readers, seconds: float = SECONDS) -> None:
        self._committer = committer
        self._readers = readers
        self._seconds = seconds

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """A context in which no other process is in a context of that name.

        Raises:
            StoreError: if one is.
        """
        tenure = self._take(name)
        self._committer.tenures[name] = tenure
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(tenure, over), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            del self._committer.tenures[name]
            keeper.join()
            self._readers.rows("end_tenure", {"name": name, "token": tenure.token})

    def fence(self, name: str) -> Tenure:
        """A tenure newer than any of that name: who has an older one is refused from now on, however alive."""
        asked = {"name": name, "owner": this_process()}
        return Tenure(name, only(self._readers.rows("force_tenure", asked)))

    @property
    def held(self) -> tuple[Tenure, ...]:
        """What this process holds or works under."""
        return tuple(self._committer.tenures.values())

    @contextmanager
    def under(self, tenures: Sequence[Tenure]) -> Iterator[None]:
        """A context in which whatever is committed proves that these tenures, which others keep, are the newest."""
        names = {tenure.name: tenure for tenure in tenures}
        self._committer.tenures.update(names)
        try:
            yield
        finally:
            for name in names:
                del self._committer.tenures[name]

    def _take(self, name: str) -> Tenure:
        asked = {"name": name, "owner": this_process(), "seconds": self._seconds}
        token = only(self._readers.rows("take_tenure", asked))
        if token is None:
            owner = self._readers.patiently(lambda connection: owner_of(connection, name))
            raise StoreError(
                f"'{name}' is being done by {owner}: wait for it to end, or stop it there, and run this again"
            )
        return Tenure(name, token)

    def _keep(self, tenure: Tenure, over: threading.Event) -> None:
        asked = {"name": tenure.name, "token": tenure.token, "seconds": self._seconds}
        while not over.wait(self._seconds / 4):
            try:
                if only(self._readers.rows("extend_tenure", asked)) is None:
                    return  # taken over: the next commit says so
            except StoreError:
                continue  # the writer has the same trouble, and tells it
