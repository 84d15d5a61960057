"""What is recorded of verbs, and what tampering with it gives away."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pytest
from postgres_server import Server

from promptlabel.deeds import DONE
from promptlabel.errors import InputError, StoppedError
from promptlabel.pipeline.history import Wanted, history
from promptlabel.pipeline.recording import PERSON, Actor, at_the_prompt, notice_settings, recording
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.settings import Settings, load_project

START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANNA, BEN = Actor("anna", "page", "10.0.0.7"), Actor("ben", "cli", "ben@here")


@pytest.fixture(params=["duckdb", "postgres"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "postgres":
        server: Server = request.getfixturevalue("postgres")
        (tmp_path / "promptlabel.yaml").write_text(f'store: "{server.new_schema()}"\n')
    else:
        (tmp_path / "promptlabel.yaml").write_text("")
    return tmp_path


@pytest.fixture
def workspace(root: Path) -> Iterator[Workspace]:
    with open_project(root) as opened:
        yield opened


def fill(workspace: Workspace, count: int = 6) -> None:
    for number in range(count):
        actor = ANNA if number % 2 else BEN
        moment = START + timedelta(days=number)
        deed = actor.deed("freeze", task="tone", details={"cases": number}, clock=lambda at=moment: at)
        workspace.store.add_deed(deed)


def in_sql(root: Path, statement: str) -> None:
    settings = load_project(root).settings
    if settings.store.startswith("postgresql"):
        with psycopg.connect(settings.store, autocommit=True) as connection:
            connection.execute(statement.encode())
    else:
        with duckdb.connect(str(root / settings.store)) as connection:
            connection.execute(statement)


def test_the_latest_that_are_wanted_are_told(workspace: Workspace) -> None:
    fill(workspace)
    found = history(workspace.store, most=2)
    assert [entry["number"] for entry in found.entries] == [5, 6]
    assert (found.matching, found.total, found.exit_code) == (6, 6, 0)
    mine = history(workspace.store, Wanted(person="anna", since=START + timedelta(days=2)), most=9)
    assert [entry["details"] for entry in mine.entries] == [{"cases": 3}, {"cases": 5}]
    assert not history(workspace.store, Wanted(verb="export"), most=9).entries


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE deeds SET person = 'carl' WHERE entry = 2", 2),
        ("UPDATE deeds SET details = '{\"cases\":7}' WHERE entry = 4", 4),
        ("UPDATE deeds SET timestamp = timestamp + INTERVAL '1 second' WHERE entry = 6", 6),
        ("UPDATE deeds SET outcome = 'refused' WHERE entry = 1", 1),
        ("DELETE FROM deeds WHERE entry = 3", 4),
        ("UPDATE deeds SET entry = entry + 10 WHERE entry = 6", 16),
    ],
)
def test_an_entry_changed_in_the_database_is_named(root: Path, tampering: str, broken: int) -> None:
    with open_project(root) as workspace:
        fill(workspace)
    in_sql(root, tampering)
    with open_project(root) as workspace:
        found = history(workspace.store, most=50)
    assert (found.first_broken, found.exit_code) == (broken, 1)


def test_a_seal_kept_elsewhere_gives_away_that_the_end_was_cut_off(root: Path) -> None:
    with open_project(root) as workspace:
        fill(workspace)
        seal = history(workspace.store, most=1).seal
        assert history(workspace.store, most=1, seal=seal).holds is True
    in_sql(root, "DELETE FROM deeds WHERE entry = 6")
    with open_project(root) as workspace:
        found = history(workspace.store, most=1, seal=seal)
    assert (found.first_broken, found.holds, found.exit_code) == (None, False, 1)


def test_processes_that_share_a_store_make_one_chain(tmp_path: Path, postgres: Server) -> None:
    (tmp_path / "promptlabel.yaml").write_text(f'store: "{postgres.new_schema()}"\n')
    with open_project(tmp_path) as one, open_project(tmp_path) as two:
        threads = [threading.Thread(target=fill, args=(workspace, 30)) for workspace in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = history(one.store, most=100)
    assert (found.total, found.first_broken) == (60, None)
    assert [entry["number"] for entry in found.entries] == list(range(1, 61))


def test_a_block_is_recorded_when_it_ends_whichever_way(workspace: Workspace) -> None:
    with recording(workspace, "freeze", "tone") as details:
        details["cases"] = 3
    with pytest.raises(StoppedError), recording(workspace, "export"):
        raise StoppedError("of the trace: secret")
    with recording(workspace, "freeze", "tone"):
        pass
    one, two = (entry.deed for entry in workspace.store.deeds())
    assert (one.verb, one.task, one.outcome, one.details) == ("freeze", "tone", DONE, {"cases": 3})
    assert (two.verb, two.outcome, two.details) == ("export", "failed: StoppedError", {})


def test_settings_that_changed_are_seen_by_key_and_not_by_value(root: Path, workspace: Workspace) -> None:
    notice_settings(workspace)
    notice_settings(workspace)
    assert list(workspace.store.deeds()) == []
    store = workspace.project.settings.store
    changed = Settings.model_validate({"store": store, "budget": {"usd": 7.5}, "people": {"anna": "expert"}})
    project = load_project(root)
    notice_settings(Workspace(type(project)(root, changed), workspace.store))
    (entry,) = workspace.store.deeds()
    assert entry.deed.verb == "see settings changed"
    assert entry.deed.details == {"keys": ["budget.usd", "people.anna"]}


def test_who_works_here_is_said_or_known() -> None:
    anyone = Settings()
    few = Settings.model_validate({"people": {"anna": "expert"}})
    assert at_the_prompt(anyone, {PERSON: "zoe"}).person == "zoe"
    said = at_the_prompt(few, {PERSON: "anna"})
    assert said.person == "anna"
    assert said.via == "cli"
    user, _, machine = said.host.partition("@")
    assert user
    assert machine
    assert at_the_prompt(few, {}).person == user
    with pytest.raises(InputError, match=r"--as.*'ana' is not among `people` \(did you mean 'anna'\?\)"):
        at_the_prompt(few, {PERSON: "ana"})


def test_the_verb_tells_filters_and_fails(tmp_path: Path) -> None:
    (tmp_path / "promptlabel.yaml").write_text("")
    with open_project(tmp_path) as workspace:
        fill(workspace)

    def told(*options: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "promptlabel", "history", "--project", tmp_path, *options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    code, text = told("--person", "anna", "--verb", "freeze")
    assert code == 0
    assert "ben@here" not in text
    assert "6 entries follow, each from the last" in text
    in_sql(tmp_path, "UPDATE deeds SET verb = 'export' WHERE entry = 5")
    code, text = told("--json")
    assert (code, json.loads(text)["first_broken"]) == (1, 5)
    assert "entry 5 does not follow" in told()[1]
