"""What docs/operations.md says of backups, done with the tools it names, votes and decisions lost and found again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from forgettable import HER, HER_TRACE, HIS_TRACE, NOW, WORD, about, files_with, fill, make_project
from postgres_server import Server, programs
from store_samples import TASK, a_review, a_trace, a_vote, an_attempt

from promptlabel.pipeline.forgetting.forget import Wish, forget
from promptlabel.pipeline.move import move
from promptlabel.pipeline.workspace import open_project
from promptlabel.store.contract import Store, Whom


def run(program: str, *arguments: str | Path) -> None:
    folder = programs()
    assert folder
    done = subprocess.run([folder / program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def dump(address: str, file: Path) -> None:
    run("pg_dump", "--format=custom", "--file", file, address)


def restore(address: str, file: Path) -> None:
    run("pg_restore", "--clean", "--if-exists", "--dbname", address, file)


def project_on(address: str, root: Path) -> Path:
    root.mkdir()
    (root / "promptlabel.yaml").write_text(f'store: "{address}"\n')
    return root


def everything(store: Store) -> list[object]:
    """Traces, votes, decisions, money."""
    by_event = sorted(store.reviews(TASK), key=lambda event: event.event_id)
    votes = sorted((vote.key, vote.label) for _, vote in store.votes(TASK))
    return [list(store.traces()), votes, by_event, store.spent()]


def work_after_the_backup(store: Store) -> None:
    for number in range(10, 40):
        store.add_votes([a_vote(number)], [an_attempt(a_vote(number))])
        store.add_review(a_review(number))


@pytest.mark.slow
def test_a_database_restored_from_a_dump_has_what_came_after_it(
    mortal_postgres: Server, tmp_path: Path
) -> None:
    address, file = mortal_postgres.address(), tmp_path / "labels.dump"
    root = project_on(address, tmp_path / "project")
    with open_project(root) as workspace:
        fill(workspace.store)
        workspace.store.add_traces(map(a_trace, range(10, 40)))
    dump(address, file)
    with open_project(root) as workspace:
        work_after_the_backup(workspace.store)
        before = everything(workspace.store)
    restore(address, file)
    with open_project(root) as workspace:
        assert workspace.store.recovered == 60  # type: ignore[attr-defined]
        assert everything(workspace.store) == before


@pytest.mark.slow
def test_a_dump_from_before_she_was_forgotten_does_not_bring_her_back(
    mortal_postgres: Server, tmp_path: Path
) -> None:
    address, file = mortal_postgres.address(), tmp_path / "labels.dump"
    root = project_on(address, tmp_path / "project")
    with open_project(root) as workspace:
        fill(workspace.store)
    dump(address, file)
    forget(root, Wish(Whom(users=[HER])), lambda _: True, NOW)
    restore(address, file)
    with open_project(root) as workspace:
        assert not any(about(workspace.store, HER_TRACE).values())
        assert all(about(workspace.store, HIS_TRACE).values())
        assert not workspace.store.forgettings()[0].erased
    forget(root, Wish(), lambda _: True, NOW)
    assert files_with(mortal_postgres.data / "base", WORD) == []


def test_an_embedded_store_copied_and_put_back_has_what_its_journal_has(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as workspace:
        workspace.store.add_traces(map(a_trace, range(10, 40)))
    shutil.copytree(root / ".promptlabel", tmp_path / "backup")
    with open_project(root) as workspace:
        work_after_the_backup(workspace.store)
        before = everything(workspace.store)
    shutil.copy(tmp_path / "backup" / "store.duckdb", root / ".promptlabel" / "store.duckdb")
    with open_project(root) as workspace:
        assert workspace.store.recovered == 60  # type: ignore[attr-defined]
        assert everything(workspace.store) == before


def test_an_embedded_store_is_backed_up_by_moving_a_copy_to_a_database(
    postgres: Server, tmp_path: Path
) -> None:
    root = make_project(tmp_path / "project")
    with open_project(root) as workspace:
        before = everything(workspace.store)
    shutil.copytree(root, tmp_path / "copy")
    move(tmp_path / "copy", postgres.new_schema())
    with open_project(tmp_path / "copy") as workspace:
        assert everything(workspace.store) == before
