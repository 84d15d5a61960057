"""Damage of every kind, at random places: all of it is found, and the same votes come back without a call."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_samples import RULE, TASK, a_code_vote, a_review, a_rule, a_trace, a_vote, an_attempt, by_key

from promptlabel.errors import StoreDamagedError
from promptlabel.records import ReviewEvent, Vote
from promptlabel.store.contract import Spent
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.salvaging import salvage
from promptlabel.store.verifying import Verification

CODE = a_rule("code")
N = 140


def opened(folder: Path) -> DuckDBStore:
    return DuckDBStore(folder / "s.duckdb", folder / "journal")


def fill(store: DuckDBStore) -> None:
    store.register_rules(TASK, [RULE, CODE])
    store.add_traces(map(a_trace, range(N)))
    for first in range(0, N, 20):
        votes = [
            a_vote(number, status="malformed" if number % 7 == 0 else "vote")
            for number in range(first, first + 20)
        ]
        store.add_votes(votes, [an_attempt(vote) for vote in votes])
        store.add_votes([a_code_vote(number, rule=CODE) for number in range(first, first + 20)])
        if first % 60 == 0:
            store.add_review(a_review(first))
        if first == 60:
            store._connection.execute("CHECKPOINT")
    store.drop_dead_letters(TASK)
    store.add_votes([a_vote(number) for number in range(0, 70, 7)])
    store.replace_votes([a_vote(1, label="bad", distribution={"good": 0.1, "bad": 0.9})])
    store.add_traces([a_trace(N)])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's files as they are while it is open, half of it in the log."""
    folder, copy = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("copies") / "pristine"
    with opened(folder) as store:
        fill(store)
        shutil.copytree(folder, copy)
    return copy


@pytest.fixture(scope="module")
def paid(
    pristine: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Vote], Spent, list[ReviewEvent]]:
    """What must never be lost."""
    folder = tmp_path_factory.mktemp("paid") / "copy"
    shutil.copytree(pristine, folder)
    with opened(folder) as store:
        assert store.verify().sound
        return what_was_paid(store)


def what_was_paid(store: DuckDBStore) -> tuple[dict[str, Vote], Spent, list[ReviewEvent]]:
    store.register_rules(TASK, [RULE, CODE])
    votes = by_key([vote for _, vote in store.votes(TASK, rule=RULE.rule)])
    return votes, store.spent(), sorted(store.reviews(TASK), key=lambda event: event.event_id)


def is_whole(store: DuckDBStore) -> bool:
    code_votes = sum(1 for _ in store.votes(TASK, rule=CODE.rule))
    return store.count_traces() == N + 1 and code_votes == N


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def verified(folder: Path) -> tuple[Verification | None, bool]:
    """What verification found, or None where the store would not open; and whether nothing was missing."""
    try:
        with opened(folder) as store:
            return store.verify(), is_whole(store)
    except StoreDamagedError:
        return None, False


WAYS: dict[str, tuple[str, Callable[[Path, random.Random], None], int]] = {
    "log truncated": ("s.duckdb.wal", truncate, 6),
    "bit flipped in log": ("s.duckdb.wal", flip, 8),
    "bit flipped in file": ("s.duckdb", flip, 4),
    "bit flipped in journal": ("journal/000001.jsonl", flip, 6),
    "file truncated": ("s.duckdb", truncate, 1),
    "log lost": ("s.duckdb.wal", remove, 1),
    "file lost": ("s.duckdb", remove, 1),
}


CASES = [(way, seed) for way, (_, _, times) in WAYS.items() for seed in range(times)]


@pytest.mark.parametrize(("way", "seed"), CASES)
def test_damage_is_found_and_mended(
    way: str,
    seed: int,
    pristine: Path,
    paid: tuple[dict[str, Vote], Spent, list[ReviewEvent]],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(pristine, folder)
    name, damage, _ = WAYS[way]
    damage(folder / name, random.Random(f"{way} {seed}"))
    found, whole = verified(folder)
    assert whole or found is None or not found.sound, "something is missing and nobody says so"
    with salvage(folder / "s.duckdb", folder / "journal").store as store:
        assert what_was_paid(store) == paid
        assert store.verify().sound


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_journal_is_made_whole_from_the_store(
    seed: int, pristine: Path, paid: tuple[dict[str, Vote], Spent, list[ReviewEvent]], tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(pristine, folder)
    chance = random.Random(seed)
    for _ in range(5):
        flip(folder / "journal" / "000001.jsonl", chance)
    salvage(folder / "s.duckdb", folder / "journal").store.close()
    for file in folder.glob("s.duckdb*"):
        file.unlink()
    with opened(folder) as rebuilt:
        assert what_was_paid(rebuilt) == paid


class TestFindings:
    @pytest.fixture
    def store(self, pristine: Path, tmp_path: Path) -> Iterator[DuckDBStore]:
        shutil.copytree(pristine, tmp_path / "store")
        with opened(tmp_path / "store") as store:
            yield store

    def tamper(self, store: DuckDBStore, sql: str) -> Verification:
        store._connection.execute(sql)
        return store.verify()

    def test_rows_that_went_are_counted_by_table(self, store: DuckDBStore) -> None:
        found = self.tamper(store, "DELETE FROM cast_votes WHERE trace_id = 'trace-00001'")
        assert found.unbalanced == {"votes": -2}
        assert found.store_lacks == {"votes": 1}

    def test_a_key_changed_in_place_is_found(self, store: DuckDBStore) -> None:
        found = self.tamper(store, "UPDATE events SET key = uuid()")
        assert found.sound
        found = self.tamper(store, "UPDATE traces SET content_hash = uuid() WHERE trace_id = 'trace-00001'")
        assert found.unbalanced == {"traces": 0}

    def test_a_ledger_row_changed_breaks_the_chain(self, store: DuckDBStore) -> None:
        assert self.tamper(store, "UPDATE ledger SET rows = rows + 1 WHERE batch = 5").broken == (5,)

    def test_a_ledger_row_removed_breaks_the_chain(self, store: DuckDBStore) -> None:
        assert self.tamper(store, "DELETE FROM ledger WHERE batch = 5").broken == (6,)

    def test_a_vote_changed_in_place_is_found(self, store: DuckDBStore) -> None:
        found = self.tamper(
            store, "UPDATE cast_votes SET label = 'x' WHERE trace_id = 'trace-00002' AND raw IS NOT NULL"
        )
        assert found.journal_lacks == {"votes": 1}

    def test_a_sound_store_is_left_alone_by_repair(self, store: DuckDBStore) -> None:
        before = what_was_paid(store), is_whole(store)
        assert store.repair().sound
        assert (what_was_paid(store), is_whole(store)) == before
        assert store.verify().sound

    def test_lost_commits_are_told_until_the_repair_strikes_them_off(
        self, pristine: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "without"
        shutil.copytree(pristine, folder)
        for file in folder.glob("s.duckdb*"):
            file.unlink()
        with opened(folder) as store:
            assert store.verify().lost == {"traces": N + 1, "votes": N}
            assert store.repair().lost == {"traces": N + 1, "votes": N}
            assert store.verify().sound
        with opened(folder) as store:
            assert store.verify().sound
