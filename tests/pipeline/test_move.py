from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from postgres_server import Server
from store_samples import (
    LABELS,
    RULE,
    START,
    TASK,
    a_code_vote,
    a_review,
    a_rule,
    a_trace,
    a_vote,
    an_attempt,
)

from promptlabel.deeds import first_broken
from promptlabel.errors import InputError, PromptlabelError
from promptlabel.pipeline import move as move_module
from promptlabel.pipeline.doctor import doctor
from promptlabel.pipeline.move import move
from promptlabel.records import Event, Gold, Pick
from promptlabel.settings import load_project
from promptlabel.store.contract import PosteriorTable, Store
from promptlabel.store.moving import RELATIONS
from promptlabel.store.opening import open_store

CONFIGURATION = "# ours\nmodels:\n  default: {provider: scripted, model: answers.yaml}\n"


def fill(store: Store) -> None:
    store.add_traces([*map(a_trace, range(30)), a_trace(99, input="\0 and \u2400")])
    store.add_events([Event("trace-00001", START, "copied", {"a": [1.5]}, {"b": None})])
    names = list(store.traces_with_new_events())
    store.add_signals([(name, {"copied": 1.0}) for name in names])
    store.add_events([Event("trace-00002", START, "copied")])
    store.register_rules(TASK, [RULE, a_rule("old")])
    votes = [a_vote(n, distribution={"good": 1 / 3, "bad": 2 / 3}) for n in range(30)]
    store.add_votes(votes, list(map(an_attempt, votes)))
    store.add_votes([a_vote(40, status="error"), a_code_vote(1, rule=a_rule("gone"))])
    store.add_gold([Gold("trace-00003", TASK, "good", "ada", START, lane="audit", probability=0.1)])
    store.save_queue(TASK, [Pick("trace-00004", TASK, "audit", 0.5, 0.25, "why", {"entropy": 0.1})])
    for number in (9, 4):
        store.add_review(a_review(number))
    probs = np.random.default_rng(1).dirichlet((1, 1), 2)
    store.save_posteriors(
        PosteriorTable(TASK, LABELS, ("trace-00001", "x"), probs, START, "em", {"ll": -1.5})
    )
    store.save_state("report", {"a": [1, None]})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "promptlabel.yaml").write_text(CONFIGURATION)
    with open_store(load_project(tmp_path)) as store:
        fill(store)
    return tmp_path


def everything(root: Path) -> dict[str, object]:
    with open_store(load_project(root)) as store:
        fit = store.posteriors(TASK)
        assert fit
        return {
            "traces": list(store.traces()),
            "events": list(store.events()),
            "stale": list(store.traces_with_new_events()),
            "votes": list(store.votes(TASK)),
            "spent": store.spent(),
            "reviews": list(store.reviews(TASK)),
            "queue": list(store.queue(TASK)),
            "gold": list(store.gold(TASK)),
            "state": store.state("report"),
            "fit": (fit.trace_ids, fit.probs.tolist(), fit.report),
            "pending": [(trace.trace_id, n) for trace, n in store.pending(RULE, samples=2)],
        }


def test_there_and_back_nothing_changes(root: Path, postgres: Server) -> None:
    before, address = everything(root), postgres.new_schema()
    report = move(root, address)
    assert set(report.relations) == set(RELATIONS)
    assert report.relations["cast_votes"].rows == 32
    assert load_project(root).settings.store == address
    assert (root / "promptlabel.yaml").read_text().endswith(CONFIGURATION)
    assert everything(root) == before
    back = move(root, "back.duckdb")
    changed = {name for name, found in report.relations.items() if back.relations[name] != found}
    assert changed == {"deeds"}, "the first move is in the history that the second carries"
    assert (root / "promptlabel.yaml").read_text() == f'store: "back.duckdb"\n{CONFIGURATION}'
    assert everything(root) == before
    assert doctor(root).exit_code == 0
    with open_store(load_project(root)) as store:
        entries = list(store.deeds())
    assert [entry.deed.verb for entry in entries] == ["move", "move"]
    assert first_broken(entries) is None


def test_a_home_that_is_not_empty_is_refused(root: Path, postgres: Server) -> None:
    address, configuration = postgres.new_schema(), (root / "promptlabel.yaml").read_text()
    move(root, address)
    with pytest.raises(InputError, match=r"store\.duckdb is there already"):
        move(root, ".promptlabel/store.duckdb")
    with pytest.raises(InputError, match="already"):
        move(root, address)
    (root / "promptlabel.yaml").write_text(configuration)
    with pytest.raises(InputError, match=r"is not empty \(it has traces"):
        move(root, address)
    with pytest.raises(InputError, match="both are DuckDB files"):
        move(root, "other.duckdb")


def test_a_difference_keeps_the_old_home(
    root: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry: Callable[..., None] = move_module.carry

    def careless(source: object, target: Store) -> None:
        carry(source, target)
        target.save_state("report", "tampered")

    monkeypatch.setattr(move_module, "carry", careless)
    with pytest.raises(PromptlabelError, match=r"differ.*states: 1 rows became 1"):
        move(root, postgres.new_schema())
    assert load_project(root).settings.store == ".promptlabel/store.duckdb"
