"""The store in each of its homes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_homes import HOMES, Open

from promptlabel.store.contract import Store


@pytest.fixture(params=HOMES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again, closing it first where it is open."""
    opened: list[Store] = []
    open_home = HOMES[request.param](tmp_path, request)

    def again() -> Store:
        for store in opened:
            store.close()
        opened.append(open_home())
        return opened[-1]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Open) -> Store:
    return reopen()
