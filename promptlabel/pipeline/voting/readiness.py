"""What must be in order before the first paid call, not after a thousand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from promptlabel.errors import Fault, raise_if_any
from promptlabel.llm.client import Client, HostedModel
from promptlabel.settings import CONFIGURATION_FILE, Budget


def require_ready(clients: Iterable[Client], budget: Budget) -> None:
    """Nothing when every model has its key, and a price where money is limited.

    Raises:
        InputError: naming each key and each price that is missing.
    """
    hosted = {client.name: client for client in clients if isinstance(client, HostedModel)}
    raise_if_any(fault for client in hosted.values() for fault in _faults(client, budget))


def _faults(client: HostedModel, budget: Budget) -> Iterator[Fault]:
    missing = client.missing_key()
    if missing:
        yield Fault(
            f"no key: set the environment variable {missing}", CONFIGURATION_FILE, key=f"models.{client.name}"
        )
    if budget.usd is not None and not client.priced:
        yield Fault(
            "its price is not known, so a budget in dollars cannot be kept: "
            "add price: {input: ..., output: ...} in dollars per million tokens",
            CONFIGURATION_FILE,
            key=f"models.{client.name}",
        )
