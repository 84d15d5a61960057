"""Forgetting in the shared store: while others write, on every machine, and down to the server's files."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from forgettable import HER, HER_REQUEST, HER_TRACE, HIS_TRACE, NOW, WORD, about, files_with, fill
from postgres_server import Server
from store_samples import START, TASK, a_review, a_trace, a_vote, an_attempt

from promptlabel.pipeline.forgetting.forget import Wish, forget
from promptlabel.pipeline.workspace import open_project
from promptlabel.store.contract import Spent, Whom
from promptlabel.store.forgettings import Forgetting

psycopg = pytest.importorskip("psycopg", reason="needs the postgres extra")

from promptlabel.store.postgres.postgres_store import PostgresStore  # noqa: E402

HER_WORDS = (WORD, HER_TRACE, HER, HER_REQUEST)


def project(root: Path, address: str) -> Path:
    root.mkdir()
    (root / "promptlabel.yaml").write_text(f'store: "{address}"\n')
    return root


def forget_her(root: Path) -> None:
    assert forget(root, Wish(Whom(users=[HER])), lambda _: True, NOW).erased


@pytest.fixture
def address(postgres: Server) -> str:
    return postgres.new_schema()


@pytest.mark.slow
def test_no_byte_of_hers_is_left_in_the_servers_files_nor_in_the_journals(
    mortal_postgres: Server, tmp_path: Path
) -> None:
    root = project(tmp_path / "here", mortal_postgres.new_schema())
    with open_project(root) as workspace:
        fill(workspace.store)
        his = about(workspace.store, HIS_TRACE)
    with psycopg.connect(mortal_postgres.address(), autocommit=True) as connection:
        connection.execute("ANALYZE")
        connection.execute("CHECKPOINT")
    data, journals = mortal_postgres.data, root / ".promptlabel"
    assert files_with(data / "base", *HER_WORDS)
    assert files_with(journals, *HER_WORDS)
    forget_her(root)
    for folder in ("base", "global", "pg_stat", "pg_xact"):
        assert files_with(data / folder, WORD, HER_TRACE, HER) == [], folder
    assert files_with(journals, *HER_WORDS) == []
    with open_project(root) as workspace:
        assert about(workspace.store, HIS_TRACE) == his
        assert not any(about(workspace.store, HER_TRACE).values())
        assert workspace.store.spent() == Spent(1.0, 4)


def test_journals_of_another_machine_bring_nothing_back_and_are_cleaned_there(
    address: str, tmp_path: Path
) -> None:
    here, there = project(tmp_path / "here", address), project(tmp_path / "there", address)
    with open_project(there) as workspace:
        fill(workspace.store)
    shutil.copytree(there / ".promptlabel", tmp_path / "backup")
    forget_her(here)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE journals SET batch = 0, segment = 0, position = 0")
    with open_project(there) as workspace:
        assert workspace.store.recovered > 0  # type: ignore[attr-defined]
        assert not any(about(workspace.store, HER_TRACE).values())
        assert len(list((there / "forgotten").iterdir())) == 1
    assert files_with(there / ".promptlabel", WORD)
    assert forget(there, Wish(), lambda _: True, NOW).done
    assert files_with(there / ".promptlabel", *HER_WORDS) == []


def test_a_database_restored_from_before_forgets_when_a_project_opens_it(
    postgres: Server, tmp_path: Path
) -> None:
    root = project(tmp_path / "here", postgres.new_schema())
    with open_project(root) as workspace:
        fill(workspace.store)
    forget_her(root)
    older = postgres.new_schema()
    (root / "promptlabel.yaml").write_text(f'store: "{older}"\n')
    with PostgresStore(older, tmp_path / "elsewhere") as restored:
        fill(restored)
        assert all(about(restored, HER_TRACE).values())
    with open_project(root) as workspace:
        assert not any(about(workspace.store, HER_TRACE).values())
        assert all(about(workspace.store, HIS_TRACE).values())


def test_whoever_writes_meanwhile_leaves_nothing_of_hers(address: str, tmp_path: Path) -> None:
    over = threading.Event()
    with PostgresStore(address, tmp_path / "a") as store, PostgresStore(address, tmp_path / "b") as other:
        store.add_traces([a_trace(1, user_id=HER), a_trace(2)])

        def write() -> Iterator[None]:
            for sample in range(100_000):
                if over.is_set():
                    return
                votes = [a_vote(number, sample=sample) for number in (1, 2)]
                other.add_votes(votes, [an_attempt(votes[0])])
                other.settle()
                other.add_review(a_review(1, event=f"e{sample}"))
                yield

        writing = threading.Thread(target=lambda: [*write()])
        writing.start()
        while store.spent().calls < 20:
            pass
        key = Forgetting.of([("trace", HER_TRACE)], START, None)
        assert store.forget(key)["votes"]
        calls = store.spent().calls
        while store.spent().calls < calls + 20:
            pass
        over.set()
        writing.join()
        other.settle()
        with psycopg.connect(address) as connection:
            counted = "SELECT count(*) FILTER (WHERE trace_id = %s), count(*) FROM cast_votes"
            hers, every = connection.execute(counted, [HER_TRACE]).fetchone() or (None, None)
            reviews = connection.execute("SELECT count(*) FROM reviews").fetchone()
        assert (hers, reviews) == (0, (0,))
        assert every == store.spent().calls


def test_what_is_leased_of_hers_is_leased_no_more(address: str, tmp_path: Path) -> None:
    from promptlabel.records import Pick
    from promptlabel.store.contract import LeaseRequest

    with PostgresStore(address, tmp_path / "a") as store:
        store.add_traces([a_trace(1), a_trace(2)])
        store.save_queue(
            TASK, [Pick(name, TASK, "audit", 1.0, 0.5, "because", {}) for name in (HER_TRACE, HIS_TRACE)]
        )
        asked = LeaseRequest(TASK, "ada", {HER_TRACE: 1, HIS_TRACE: 1}, 2, 60.0)
        assert store.lease(asked) == [HER_TRACE, HIS_TRACE]
        gone = store.forget(Forgetting.of([("trace", HER_TRACE)], START, None))
        assert gone["review_leases"] == 1
        assert store.lease(replace(asked, reviewer="bea")) == []
        assert store.lease(asked) == [HIS_TRACE]
