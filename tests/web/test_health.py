from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp
from store_samples import RULE, a_review, a_trace, a_vote, an_attempt

from promptlabel.records import Pick
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.store.contract import Store
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.web.review import review_app

TASK = Task(TaskSpec(task="quality", labels={"good": "", "bad": ""}), (), ())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal") as store:
        store.add_traces(map(a_trace, range(3)))
        store.register_rules("quality", [RULE])
        store.add_votes([a_vote(0), a_vote(1, status="abstain")], [an_attempt(a_vote(0))])
        store.save_queue("quality", [Pick("trace-00001", "quality", "audit", 0.5, 0.5, "")])
        store.add_review(a_review(2))
        yield store


@pytest.fixture
def client(store: Store, browser: Callable[[ASGIApp], Any]) -> Any:
    return browser(review_app(store, [TASK]))


def test_counts_are_there_for_prometheus(client: Any) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "promptlabel_traces 3" in lines
    assert "promptlabel_spent_usd_total 0.25" in lines
    assert "# TYPE promptlabel_votes gauge" in lines
    assert 'promptlabel_votes{task="quality",rule="asks_again",model="default",status="abstain"} 1' in lines
    assert 'promptlabel_queue_undecided{task="quality"} 1' in lines
    assert 'promptlabel_review_events_total{task="quality",action="label"} 1' in lines


def test_a_server_whose_store_is_gone_lives_but_is_not_ready(client: Any, store: Store) -> None:
    assert client.get("/readyz").json() == {"status": "ok"}
    store.close()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "closed" in answer.json()["error"]
