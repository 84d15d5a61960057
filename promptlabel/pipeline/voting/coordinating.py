"""What the actors of a cluster share: one holds the budget, one divides the models' rates and knows who lives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from promptlabel.errors import PromptlabelError
from promptlabel.llm.jobs import Limits
from promptlabel.llm.ledger import InFlight
from promptlabel.llm.rates import Rates, Report, Share
from promptlabel.llm.treasury import Request, Treasury, Verdict
from promptlabel.pipeline.run_log import Run, this_run
from promptlabel.pipeline.voting.accounts import open_account, remember_in_flight
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.records import RegisteredRule


@dataclass(frozen=True, slots=True)
class Spread:
    """What an actor needs to know: the project, the rules' versions, and the run that it is part of."""

    root: Path
    tasks: tuple[str, ...]
    rules: tuple[RegisteredRule, ...]
    since: datetime | None = None
    run: Run = field(default_factory=this_run)


class StaleActorError(PromptlabelError):
    """An actor that was silent for too long was replaced; it may send and spend nothing more."""


class Treasurer:
    """The actor that holds the budget."""

    def __init__(self, spread: Spread) -> None:
        self._opened = open_workspace(spread.root, spread.tasks)
        self._workspace = self._opened.__enter__()
        self._account = open_account(self._workspace)
        self._treasury = Treasury(self._account, lambda most: remember_in_flight(self._workspace.store, most))
        self._dismissed: set[str] = set()

    def limits(self) -> tuple[bool, bool]:
        """Whether dollars and calls are limited."""
        return self._account.limit_usd is not None, self._account.limit_calls is not None

    def ask(self, sender: str, request: Request) -> Verdict:
        """See `Treasury.ask`."""
        self._refuse_dismissed(sender)
        return self._treasury.ask(sender, request)

    def hand_back(self, sender: str, spent: InFlight) -> None:
        """See `Treasury.hand_back`."""
        self._refuse_dismissed(sender)
        self._treasury.hand_back(sender, spent)

    def dismiss(self, sender: str) -> None:
        """Nothing; the sender was replaced, and whatever it was granted stays booked as in flight."""
        self._dismissed.add(sender)

    def close(self) -> None:
        """Nothing; whatever a dead actor was granted stays booked as in flight."""
        if not self._treasury.purses:
            remember_in_flight(self._workspace.store, None)
        self._opened.__exit__(None, None, None)

    def _refuse_dismissed(self, sender: str) -> None:
        if sender in self._dismissed:
            raise StaleActorError(f"{sender} was replaced, and may spend nothing more")


class Dispatcher:
    """The actor that divides every model's rates among the askers, and hears from each that it lives."""

    def __init__(self, limits: Mapping[str, Limits], patience: float) -> None:
        self._rates = {model: Rates(some, time.monotonic) for model, some in limits.items()}
        self._patience = patience
        self._heard: dict[str, float] = {}
        self._dismissed: set[str] = set()
        self.exchanges = 0

    def exchange(self, sender: str, model: str, report: Report) -> Share:
        """See `Rates.exchange`.

        Raises:
            StaleActorError: if the sender was dismissed.
        """
        self.beat(sender)
        self.exchanges += 1
        return self._rates[model].exchange(sender, report)

    def beat(self, sender: str) -> None:
        """Nothing; the sender lives.

        Raises:
            StaleActorError: if it was dismissed.
        """
        if sender in self._dismissed:
            raise StaleActorError(
                f"{sender} was silent for too long and was replaced; it may send nothing more"
            )
        self._heard[sender] = time.monotonic()

    def leave(self, sender: str) -> None:
        """Nothing; the sender has nothing to send now: its rates are free for others, its silence means nothing."""
        self._heard.pop(sender, None)
        for rates in self._rates.values():
            rates.leave(sender)

    def dismiss(self, sender: str) -> None:
        """Nothing; the sender was replaced."""
        self._dismissed.add(sender)
        self.leave(sender)

    def silent(self) -> list[str]:
        """The senders that were heard of, but not for too long."""
        now = time.monotonic()
        return [sender for sender, heard in self._heard.items() if now - heard > self._patience]
