"""The project's budget as an account that a kill cannot make forget what was in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from promptlabel.llm.ledger import Account, InFlight
from promptlabel.pipeline.voting.batch_log import BatchLog
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Attempt, Usage, digest
from promptlabel.store.contract import Store

_IN_FLIGHT: Final = "in_flight"
_KILLED: Final = "killed"


def open_account(workspace: Workspace) -> Account:
    """The budget, less all that was ever spent, what open batches set aside, and what a killed run had in flight.

    While there is a limit, the store knows the most that may be in flight before it is; `close_account` says
    that nothing is.
    """
    store = workspace.store
    return _account(
        workspace,
        BatchLog.of(workspace.project),
        lambda most: remember_in_flight(store, most),
    )


def remember_in_flight(store: Store, most: InFlight | None) -> None:
    """Nothing; should everything die now, the next account counts so much as spent."""
    some = most is not None and most.calls > 0
    store.save_state(_IN_FLIGHT, {"usd": most.usd, "calls": most.calls} if most and some else None)


def batch_account(workspace: Workspace, batches: BatchLog) -> Account:
    """As `open_account`, for what is set aside for batches: their log remembers it."""
    return _account(workspace, batches, None)


def close_account(workspace: Workspace, account: Account) -> None:
    """Nothing; every request of the account has been settled."""
    if account.remembered is not None:
        workspace.store.save_state(_IN_FLIGHT, None)


def _account(workspace: Workspace, batches: BatchLog, remember: Callable[[InFlight], None] | None) -> Account:
    store, budget = workspace.store, workspace.project.settings.budget
    if budget.usd is None and budget.calls is None:
        return Account()
    _book_what_a_kill_left(store)
    spent, aside = store.spent(), batches.reserved
    return Account(
        budget.usd,
        budget.calls,
        spent_usd=spent.usd + aside.usd,
        spent_calls=spent.calls + aside.calls,
        remember=remember,
    )


def _book_what_a_kill_left(store: Store) -> None:
    left = store.state(_IN_FLIGHT)
    if isinstance(left, Mapping):
        most = InFlight(float(str(left["usd"])), int(str(left["calls"])))
        store.add_votes([], _lost(most, datetime.now(UTC)))
        store.save_state(_IN_FLIGHT, None)


def _lost(most: InFlight, now: datetime) -> list[Attempt]:
    usd = most.usd / most.calls
    request = digest([_KILLED, now.isoformat()])
    lost = Attempt(request, "", "", "", now, 0.0, _KILLED, Usage(), usd)
    return [lost] * most.calls
