from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server
from store_samples import a_trace

from promptlabel.errors import InputError, PromptlabelError
from promptlabel.pipeline.voting.coding import votes_digest
from promptlabel.pipeline.voting.executors import executor_of
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.settings import Engine

HEURISTICS = """\
from promptlabel import heuristic

@heuristic
def even(trace):
    return "good" if trace.metadata["number"] % 2 == 0 else None

@heuristic
def seventh(trace):
    if trace.metadata["number"] == 13:
        raise ValueError("thirteen")
    return "bad" if trace.metadata["number"] % 7 == 0 else "good"
"""


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise InputError(f"{number} is wrong")


def die_once(marked: tuple[str, int]) -> int:
    mark = Path(marked[0]) / str(marked[1])
    if not mark.exists() and marked[1] % 5 == 0:
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marked[1]


def die_of_thirteen(number: int) -> int:
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


ENGINES = {"inline": Engine(), "pool": Engine(executor="pool", workers=2)}


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
class TestEveryExecutor:
    def test_gives_every_result_once(self, engine: Engine) -> None:
        with executor_of(engine) as executor:
            assert sorted(executor.map(square, range(40))) == [n * n for n in range(40)]
            assert list(executor.map(square, [])) == []

    def test_raises_what_the_work_raised(self, engine: Engine) -> None:
        with executor_of(engine) as executor, pytest.raises(InputError, match="is wrong"):
            list(executor.map(refuse, range(4)))

    def test_takes_items_as_there_is_room(self, engine: Engine) -> None:
        taken = 0

        def items() -> Iterator[int]:
            nonlocal taken
            while taken < 1000:
                taken += 1
                yield taken

        with executor_of(engine) as executor:
            results = executor.map(square, items())
            next(results)
            assert taken < 20


def test_a_shard_whose_worker_died_is_worked_on_again(tmp_path: Path) -> None:
    with executor_of(ENGINES["pool"]) as executor:
        found = list(executor.map(die_once, [(str(tmp_path), number) for number in range(12)]))
    assert sorted(found) == list(range(12))


def test_a_shard_that_kills_every_worker_ends_the_run_and_says_which_and_what_to_do() -> None:
    with (
        executor_of(ENGINES["pool"]) as executor,
        pytest.raises(PromptlabelError, match=r"^13 cost 4 workers.*engine\.workers"),
    ):
        list(executor.map(die_of_thirteen, range(10, 20)))


@dataclass(frozen=True)
class Batch:
    """Numbers that are worked on together, which need memory together."""

    numbers: tuple[int, ...]

    def pieces(self) -> list[Batch]:
        return [Batch((number,)) for number in self.numbers]


def die_of_many(batch: Batch) -> int:
    if len(batch.numbers) > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return sum(batch.numbers)


def run_out_of_memory(number: int) -> int:
    """As a process under a limit of its address space does: the interpreter raises MemoryError."""
    if number == 3:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        return len(bytearray(8 << 30))
    return number


def test_a_shard_that_is_too_much_is_done_in_pieces() -> None:
    with executor_of(ENGINES["pool"]) as executor:
        assert sorted(executor.map(die_of_many, [Batch((1, 2, 4)), Batch((8,))])) == [1, 2, 4, 8]


def test_what_has_no_memory_left_is_as_good_as_dead() -> None:
    with (
        executor_of(ENGINES["pool"]) as executor,
        pytest.raises(PromptlabelError, match=r"^3 cost 4 workers.*memory"),
    ):
        list(executor.map(run_out_of_memory, range(6)))


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, configuration: str) -> Path:
        root = tmp_path / name
        (root / "rules" / "quality").mkdir(parents=True)
        (root / "promptlabel.yaml").write_text(configuration)
        (root / "rules" / "quality" / "task.yaml").write_text("task: quality\nlabels: {good: g, bad: b}\n")
        (root / "rules" / "quality" / "heuristics.py").write_text(HEURISTICS)
        with open_workspace(root) as workspace:
            workspace.store.add_traces(map(a_trace, range(300)))
        return root

    return make


@pytest.mark.parametrize("home", ["embedded", "shared"])
def test_a_rule_that_the_kernel_kills_for_its_memory_is_named_and_the_rest_can_go_on(
    home: str,
    project: Callable[[str, str], Path],
    postgres: Server,
    hungry: Any,
) -> None:
    store = f'store: "{postgres.new_schema()}"\n' if home == "shared" else ""
    root = project("hungry", f"{store}engine: {{executor: pool, workers: 2, shard: 40}}\n")
    (root / "rules" / "quality" / "heuristics.py").write_text(HEURISTICS + hungry.source)
    with pytest.raises(PromptlabelError, match=r"^voting by quality/hungry over .*engine\.shard"):
        voted(root)
    with open_workspace(root) as workspace:
        before = {vote.key for _, vote in workspace.store.votes("quality")}
    assert before
    hungry.feed()
    with open_workspace(root) as workspace:
        vote(workspace)
        after = [vote.key for _, vote in workspace.store.votes("quality")]
    assert len(after) == len(set(after)) == 900
    assert before <= set(after)


def voted(root: Path) -> tuple[dict[str, int], int]:
    with open_workspace(root) as workspace:
        report = vote(workspace)
        votes = [vote for _, vote in workspace.store.votes("quality")]
        assert len({vote.key for vote in votes}) == len(votes) == 600
        counted = {"votes": report.votes, "abstains": report.abstains, "errors": report.errors}
        return counted, votes_digest(votes)


@pytest.mark.parametrize("home", ["embedded", "shared"])
def test_a_pool_casts_the_votes_that_one_process_casts(
    home: str, project: Callable[[str, str], Path], postgres: Server
) -> None:
    inline = voted(project("inline", "{}\n"))
    store = f'store: "{postgres.new_schema()}"\n' if home == "shared" else ""
    pooled = project("pooled", f"{store}engine: {{executor: pool, workers: 2, shard: 40}}\n")
    assert voted(pooled) == inline
    assert inline[0] == {"votes": 449, "abstains": 150, "errors": 1}
