"""What only the shared store does: several processes, restarts, and everything that keeps one out."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from postgres_server import Server, temporary_folder
from store_samples import (
    LABELS,
    RULE,
    START,
    TASK,
    a_code_vote,
    a_review,
    a_trace,
    a_vote,
    an_attempt,
    by_key,
)

from promptlabel.errors import InputError, StoreError
from promptlabel.records import Event, Pick
from promptlabel.store.contract import LeaseRequest, Spent
from promptlabel.store.duckdb_store import DuckDBStore

psycopg = pytest.importorskip("psycopg", reason="needs the postgres extra")

from promptlabel.store.postgres import migrations, tables  # noqa: E402
from promptlabel.store.postgres.postgres_store import PostgresStore  # noqa: E402
from promptlabel.store.postgres.session import Address, connect  # noqa: E402
from promptlabel.store.postgres.tenures import Tenures  # noqa: E402
from promptlabel.store.postgres.text import escaped, unescaped  # noqa: E402

Open = Callable[[str], PostgresStore]


@pytest.fixture
def address(postgres: Server) -> str:
    return postgres.new_schema()


@pytest.fixture
def machine(address: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the same database from a machine of that name."""
    opened: list[PostgresStore] = []

    def open_on(name: str) -> PostgresStore:
        opened.append(PostgresStore(address, tmp_path / name, patience=5.0))
        return opened[-1]

    yield open_on
    for store in opened:
        store.close()


class TestSeveralProcesses:
    def test_see_what_the_others_wrote(self, machine: Open) -> None:
        one, two = machine("one"), machine("two")
        one.add_traces([a_trace(1)])
        one.register_rules(TASK, [RULE])
        two.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        two.settle()
        assert [vote for _, vote in one.votes(TASK)] == [a_vote(1)]
        assert one.spent() == Spent(0.25, 1)

    def test_on_one_machine_have_a_journal_each(self, machine: Open, tmp_path: Path) -> None:
        machine("one").add_review(a_review(1))
        machine("one").add_review(a_review(2))
        assert [path.name for path in sorted((tmp_path / "one").iterdir())] == ["001", "002"]

    def test_that_write_the_same_votes_write_them_once(self, machine: Open) -> None:
        stores = [machine("one"), machine("two"), machine("three")]
        stores[0].register_rules(TASK, [RULE])

        def write(store: PostgresStore) -> None:
            for first in range(0, 300, 20):
                store.add_votes([a_code_vote(number) for number in range(first, first + 20)])
                store.settle()

        threads = [threading.Thread(target=write, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert stores[0].count_votes(TASK) == {(RULE.rule, RULE.model): {"vote": 300}}

    def test_that_ingest_the_same_traces_with_other_content_are_refused(self, machine: Open) -> None:
        one, two = machine("one"), machine("two")
        one.add_traces([a_trace(1)])
        with pytest.raises(InputError, match="trace-00001"):
            two.add_traces([a_trace(1, input="x"), a_trace(2)])
        assert one.count_traces() == 1

    def test_events_that_arrive_while_signals_are_computed_are_not_forgotten(self, machine: Open) -> None:
        one, two = machine("one"), machine("two")
        one.add_traces([a_trace(1)])
        assert one.traces_with_new_events() == ["trace-00001"]
        two.add_events([Event("trace-00001", START, "copied")])
        one.add_signals([("trace-00001", {})])
        assert one.traces_with_new_events() == ["trace-00001"]

    def test_lease_a_trace_to_one_reviewer_at_a_time(self, machine: Open) -> None:
        names = [f"trace-{number:05d}" for number in range(200)]
        machine("one").save_queue(TASK, [Pick(name, TASK, "audit", 0.5, 0.5, "why") for name in names])
        granted: dict[int, list[str]] = {}
        store = machine("one")
        threads = [
            threading.Thread(target=self._take, args=(store, reviewer, names, granted))
            for reviewer in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        everything = [name for own in granted.values() for name in own]
        assert len(everything) == len(set(everything)) > 100

    def _take(
        self, store: PostgresStore, reviewer: int, names: list[str], granted: dict[int, list[str]]
    ) -> None:
        mine: list[str] = []
        for _ in range(6):
            wanted = {name: 1 for name in names if name not in mine}
            mine.extend(store.lease(LeaseRequest(TASK, f"reviewer-{reviewer}", wanted, 3, 600.0)))
        granted[reviewer] = mine

    def test_lease_again_what_is_theirs_what_ran_out_and_as_many_places_as_there_are(
        self, machine: Open
    ) -> None:
        store = machine("one")
        store.save_queue(TASK, [Pick(name, TASK, "audit", 0.5, 0.5, "why") for name in "ab"])

        def lease(reviewer: str, *, seconds: float = 600.0, places: int = 1) -> list[str]:
            return list(store.lease(LeaseRequest(TASK, reviewer, dict.fromkeys("bac", places), 3, seconds)))

        assert lease("ada") == ["b", "a"]
        assert lease("bob") == []
        assert lease("ada", seconds=-1.0) == ["b", "a"]
        assert lease("bob") == ["b", "a"]
        assert lease("cyd", places=2) == ["b", "a"]
        assert lease("dan", places=2) == []
        assert lease("bob", places=2) == ["b", "a"]


class TestWhoMayWrite:
    def test_a_process_whose_journal_another_has_taken_over_is_refused(
        self, machine: Open, tmp_path: Path
    ) -> None:
        stale = machine("one")
        stale.add_review(a_review(1))
        shutil.copytree(tmp_path / "one", tmp_path / "copy")
        machine("copy").add_review(a_review(2))
        with pytest.raises(StoreError, match="another process writes with the journal"):
            stale.add_review(a_review(3))
        assert [event.event_id for event in machine("two").reviews(TASK)] == ["event-1", "event-2"]

    def test_what_one_holds_no_other_holds(self, machine: Open) -> None:
        one, two = machine("one"), machine("two")
        with one.hold("asking models"):
            with two.hold("something else"):
                two.add_review(a_review(1))
            with (
                pytest.raises(StoreError, match=r"'asking models' is being done by .*process \d+"),
                two.hold("asking models"),
            ):
                pass
        with two.hold("asking models"):
            two.add_review(a_review(2))

    def test_who_was_silent_too_long_is_refused_once_another_has_taken_over(self, machine: Open) -> None:
        frozen, other = machine("one"), machine("two")
        tenures = Tenures(frozen._own.committer, frozen._readers, seconds=-1.0)
        with tenures.hold("asking models"):
            frozen.add_review(a_review(1))
            with other.hold("asking models"):
                with pytest.raises(StoreError, match="has taken over 'asking models'"):
                    frozen.add_review(a_review(2))
                other.add_review(a_review(3))
        assert [event.event_id for event in other.reviews(TASK)] == ["event-1", "event-3"]

    def test_who_was_replaced_is_refused_however_alive_it_is(self, machine: Open) -> None:
        leader, zombie, heir = machine("one"), machine("two"), machine("three")
        with leader.hold("asking models"):
            with zombie.under([*leader.tenures, leader.fence("asker 0")]):
                zombie.add_review(a_review(1))
                newer = leader.fence("asker 0")
                with pytest.raises(StoreError, match="has taken over 'asker 0'"):
                    zombie.add_review(a_review(2))
            with heir.under([*leader.tenures, newer]):
                heir.add_review(a_review(3))
        assert [event.event_id for event in leader.reviews(TASK)] == ["event-1", "event-3"]

    def test_who_works_under_a_hold_is_refused_once_that_is_lost(self, machine: Open) -> None:
        leader, worker, other = machine("one"), machine("two"), machine("three")
        tenures = Tenures(leader._own.committer, leader._readers, seconds=-1.0)
        with tenures.hold("asking models"), worker.under(leader.tenures):
            worker.add_review(a_review(1))
            with other.hold("asking models"):
                with pytest.raises(StoreError, match="has taken over 'asking models'"):
                    worker.add_review(a_review(2))
                other.add_review(a_review(3))
        assert [event.event_id for event in other.reviews(TASK)] == ["event-1", "event-3"]

    def test_who_is_gone_leaves_at_once_what_it_held(self, machine: Open) -> None:
        gone, other = machine("one"), machine("two")
        held = gone.hold("asking models")
        held.__enter__()
        for connection in gone._readers._idle:
            connection.close()
        for _ in range(50):
            try:
                with other.hold("asking models"):
                    return
            except StoreError:
                threading.Event().wait(0.1)
        pytest.fail("a dead process kept its hold")


class TestJournal:
    def test_what_a_killed_process_had_journaled_is_put_back_by_the_next(
        self, machine: Open, tmp_path: Path
    ) -> None:
        store = machine("one")
        store.register_rules(TASK, [RULE])
        store._writer._linger = 60.0
        store.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        shutil.copytree(tmp_path / "one", tmp_path / "after")
        with PostgresStore(store.address.text, tmp_path / "after") as after:
            assert after.recovered == 1
            assert [vote for _, vote in after.votes(TASK)] == [a_vote(1)]
            assert after.spent() == Spent(0.25, 1)
        with PostgresStore(store.address.text, tmp_path / "after") as again:
            assert again.recovered == 0
            assert again.spent() == Spent(0.25, 1)

    def test_of_every_ended_process_of_the_machine_is_read(self, machine: Open, tmp_path: Path) -> None:
        one, two = machine("one"), machine("one")
        for number, store in enumerate((one, two)):
            store._writer._linger = 60.0
            store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])
        shutil.copytree(tmp_path / "one", tmp_path / "after")
        with PostgresStore(one.address.text, tmp_path / "after") as after:
            assert after.recovered == 2
            assert after.spent().calls == 2

    def test_a_commit_whose_confirmation_was_lost_is_not_made_again(
        self, machine: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = machine("one")
        store.register_rules(TASK, [RULE])
        transaction = psycopg.Connection.transaction
        lost: list[int] = []

        class Cut:
            def __init__(self, connection: psycopg.Connection) -> None:
                self._connection, self._inner = connection, transaction(connection)

            def __enter__(self) -> object:
                return self._inner.__enter__()

            def __exit__(self, *error: object) -> object:
                self._inner.__exit__(*error)  # type: ignore[arg-type]
                if self._connection is store._own.committer._connection and not lost:
                    lost.append(1)
                    self._connection.close()
                    raise psycopg.OperationalError("server closed the connection unexpectedly")
                return None

        def cut_once(connection: psycopg.Connection) -> Cut:
            return Cut(connection)

        monkeypatch.setattr(psycopg.Connection, "transaction", cut_once)
        store.add_votes([a_vote(1)], [an_attempt(a_vote(1))])
        store.settle()
        assert lost == [1]
        assert store.spent() == Spent(0.25, 1)
        assert store.add_review(a_review(1)) is True


class TestWhatKeepsOneOut:
    def test_a_database_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"cannot be reached: .*refused.*start the database"):
            PostgresStore("postgresql://me:secret@127.0.0.1:1/db", tmp_path, patience=0.1)

    def test_an_address_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"promptlabel.yaml: store: .*write postgresql://USER@HOST"):
            PostgresStore("postgresql://me@host:port/db", tmp_path)

    def test_an_unknown_user_or_database(self, postgres: Server, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r'role "nobody" does not exist.*createuser'):
            PostgresStore(postgres.address(user="nobody"), tmp_path)
        with pytest.raises(InputError, match=r'database "nowhere" does not exist.*createdb'):
            PostgresStore(postgres.address().removesuffix("postgres") + "nowhere", tmp_path)

    def test_a_wrong_password_is_not_repeated(self, tmp_path: Path, postgres: Server) -> None:
        with temporary_folder() as folder:
            guarded = Server(Path(folder), password="right", fsync="off")
            guarded.start()
            try:
                with pytest.raises(InputError, match=r"password.*PGPASSWORD") as caught:
                    PostgresStore(guarded.address(password="wrong-one"), tmp_path)
                assert "wrong-one" not in str(caught.value)
                PostgresStore(guarded.address(), tmp_path).close()
            finally:
                guarded.stop()

    def test_a_schema_of_a_newer_version(self, machine: Open, tmp_path: Path) -> None:
        store = machine("one")
        with connect(store.address) as connection:
            connection.execute("INSERT INTO migrations (name) VALUES ('m099_later')")
        with pytest.raises(StoreError, match=r"newer promptlabel.*m099_later.*upgrade"):
            machine("two")

    def test_a_schema_that_was_emptied(self, machine: Open) -> None:
        store = machine("one")
        with connect(store.address) as connection:
            connection.execute("DROP TABLE rules CASCADE")
        with pytest.raises(StoreError, match="not what promptlabel made"):
            store.registered_rules(TASK)

    def test_an_older_schema_is_brought_up_to_date_once_by_whoever_comes(self, address: str) -> None:
        with connect(Address(address)) as connection:
            migrations.migrate(connection, migrations.MIGRATIONS[:3])
        failures: list[BaseException] = []

        def migrate() -> None:
            try:
                with connect(Address(address)) as own:
                    migrations.migrate(own)
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                failures.append(error)

        threads = [threading.Thread(target=migrate) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with connect(Address(address)) as connection:
            names = [name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name")]
        assert names == [step.__name__ for step in migrations.MIGRATIONS]

    def test_a_step_that_fails_leaves_the_schema_as_it_was(self, address: str) -> None:
        def m999_broken(connection: psycopg.Connection) -> None:
            connection.execute("CREATE TABLE half (a INTEGER)")
            connection.execute("SELECT 1/0")

        with connect(Address(address)) as connection:
            migrations.migrate(connection)
            with pytest.raises(psycopg.errors.DivisionByZero):
                migrations.migrate(connection, (*migrations.MIGRATIONS, m999_broken))
            assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)


def test_its_tables_are_those_of_the_embedded_store(machine: Open, tmp_path: Path) -> None:
    shared, embedded = machine("one"), DuckDBStore(tmp_path / "s.duckdb", tmp_path / "journal")
    with embedded:
        for store in (shared, embedded):
            store.add_traces(map(a_trace, range(40)))
            store.register_rules(TASK, [RULE])
            store.add_votes(
                [
                    a_vote(n, label=LABELS[n % 2], distribution={"good": n / 40, "bad": 1 - n / 40})
                    for n in range(0, 40, 3)
                ]
            )
            store.add_votes([a_vote(n, sample=1) for n in range(0, 40, 6)])
        one, two = (store.vote_table(TASK, LABELS) for store in (shared, embedded))
        assert one.trace_ids == two.trace_ids
        np.testing.assert_array_equal(one.votes, two.votes)
        np.testing.assert_array_equal(one.soft[0], two.soft[0])
        pending = [
            [(trace, n) for trace, n in store.pending(RULE, samples=2)] for store in (shared, embedded)
        ]
        assert pending[0] == pending[1]
        assert by_key([vote for _, vote in shared.votes(TASK)]) == by_key(
            [vote for _, vote in embedded.votes(TASK)]
        )


@pytest.mark.parametrize("text", ["", "plain", "\0", "\u2400", "\u24000", "\0\u2400\0", "a\0b\u2400c"])
def test_text_with_nul_comes_back(text: str) -> None:
    assert "\0" not in escaped(text)
    assert unescaped(escaped(text)) == text


def test_places_are_the_databases(address: str) -> None:
    with connect(Address(address)) as connection:
        migrations.migrate(connection)
        for name in ("", "a", "trace-00001", "ü\0"):
            found = connection.execute("SELECT md5_number_lower(%s::TEXT)", [name]).fetchone()
            assert found == (tables.place_of(name),)
