"""What a long verb tells whoever watches it."""

from __future__ import annotations

from typing import Protocol

from promptlabel.records import Vote


class Progress(Protocol):
    """Told of each vote as it is cast; it must return at once."""

    def begin(self, votes: int) -> None:
        """Nothing; this many votes are to be cast."""
        ...

    def cast(self, vote: Vote, usd: float) -> None:
        """Nothing; one vote was cast, and this much was spent on it."""
        ...


class Unwatched:
    """A progress that nobody sees."""

    def begin(self, votes: int) -> None:
        """Nothing."""

    def cast(self, vote: Vote, usd: float) -> None:
        """Nothing."""
