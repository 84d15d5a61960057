"""A person forgotten in a whole project: nothing of hers in any file, and nothing that brings her back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import Run, read_json
from forgettable import (
    HER,
    HER_REQUEST,
    HER_TRACE,
    HIS_TRACE,
    NOW,
    WORD,
    a_late_decision,
    about,
    files_with,
    make_project,
)
from store_samples import TASK, a_trace, a_vote, an_attempt

from promptlabel.errors import InputError, StoreError
from promptlabel.pipeline.forgetting.forget import ForgetReport, Wish, forget
from promptlabel.pipeline.forgetting.holdings import copies
from promptlabel.pipeline.voting.batch_log import Batch, BatchLog, Slot
from promptlabel.pipeline.voting.sending import SENDING
from promptlabel.pipeline.workspace import open_project
from promptlabel.settings import load_project
from promptlabel.store.contract import Added, Spent, Whom
from promptlabel.store.duckdb_store import DuckDBStore
from promptlabel.store.sharing import StoreServer

HER_WISH = Wish(Whom(users=[HER]))
HER_WORDS = (WORD, HER_TRACE, HER, HER_REQUEST)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


def forget_her(root: Path, wish: Wish = HER_WISH) -> ForgetReport:
    return forget(root, wish, lambda _: True, NOW)


def test_no_byte_of_hers_is_left_and_all_of_his(root: Path) -> None:
    state = root / ".promptlabel"
    with open_project(root) as workspace:
        his, spent = about(workspace.store, HIS_TRACE), workspace.store.spent()
    assert len(files_with(state, *HER_WORDS)) > 5
    report = forget_her(root)
    assert report.done
    assert report.erased
    assert report.plan.rows == {
        "traces": 1,
        "events": 1,
        "signals": 1,
        "votes": 1,
        "gold": 1,
        "reviews": 1,
        "posteriors": 1,
        "picks": 1,
    }
    assert files_with(state, *HER_WORDS) == []
    assert files_with(root / "forgotten", *HER_WORDS) == []
    with open_project(root) as workspace:
        assert about(workspace.store, HIS_TRACE) == his
        assert workspace.store.spent() == spent == Spent(1.0, 4)
    with DuckDBStore(state / "store.duckdb", state / "journal") as store:
        assert store.verify().sound


def test_nothing_happens_unless_it_is_agreed_to(root: Path) -> None:
    before = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"
    }
    report = forget(root, HER_WISH, lambda plan: plan.traces != 1, NOW)
    assert not report.done
    assert {path: path.read_bytes() for path in before if path.suffix != ".duckdb"} == {
        path: content for path, content in before.items() if path.suffix != ".duckdb"
    }
    with open_project(root) as workspace:
        assert all(about(workspace.store, HER_TRACE).values())


def test_a_copy_of_the_state_from_before_forgets_when_it_is_opened(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / ".promptlabel", tmp_path / "backup")
    forget_her(root)
    shutil.rmtree(root / ".promptlabel")
    shutil.copytree(tmp_path / "backup", root / ".promptlabel")
    with open_project(root) as workspace:
        assert not any(about(workspace.store, HER_TRACE).values())
        assert workspace.store.add_traces([a_trace(7, user_id=HER)]) == Added(0, 0, 1)
    forget(root, Wish(), lambda _: True, NOW)
    assert files_with(root / ".promptlabel", *HER_WORDS) == []


def test_the_folder_of_another_machine_is_told_by_the_store(root: Path) -> None:
    forget_her(root)
    shutil.rmtree(root / "forgotten")
    with open_project(root):
        assert len(list((root / "forgotten").iterdir())) == 1


def test_a_store_lost_and_rebuilt_from_the_journal_does_not_know_her(root: Path) -> None:
    forget_her(root)
    (root / ".promptlabel" / "store.duckdb").unlink()
    with open_project(root) as workspace:
        assert not any(about(workspace.store, HER_TRACE).values())
        assert workspace.store.spent() == Spent(1.0, 4)
        assert [one.trace_id for one in workspace.store.reviews(TASK)] == [HIS_TRACE]


def test_what_comes_late_from_a_page_is_in_no_store_and_after_the_next_forget_in_no_file(root: Path) -> None:
    forget_her(root)
    with open_project(root) as workspace:
        assert workspace.store.add_review(a_late_decision()) is False
        late = replace(a_vote(1), rationale=WORD)
        workspace.store.add_votes([late], [an_attempt(late)])
    assert files_with(root / ".promptlabel", *HER_WORDS) == ["journal/000001.jsonl"]
    forget(root, Wish(), lambda _: True, NOW)
    assert files_with(root / ".promptlabel", *HER_WORDS) == []
    with open_project(root) as workspace:
        assert workspace.store.spent() == Spent(1.25, 5)


def test_a_batch_that_is_not_collected_is_named_and_cleaned_once_it_is(root: Path) -> None:
    log = BatchLog.of(load_project(root))
    log.requests_file("b2").write_text(WORD)
    log.written(Batch("b2", TASK, "default", "/v1", 1, 0.1), [Slot(HER_REQUEST, "asks_again", HER_TRACE, 0)])
    log.close()
    cleaned = forget_her(root).cleaned
    assert cleaned
    assert cleaned.waiting == ("b2",)
    log = BatchLog.of(load_project(root))
    log.submitted("b2", "there")
    log.collected("b2")
    log.close()
    forget(root, Wish(), lambda _: True, NOW)
    assert files_with(root / ".promptlabel", *HER_WORDS) == []


def test_exports_are_named_until_they_are_gone_or_written_anew(root: Path) -> None:
    report = forget_her(root)
    exports = root / "exports"
    assert [(Path(one.path).name, one.traces) for one in report.plan.exports] == [
        ("training.jsonl", 1),
        ("votes.jsonl", None),
    ]
    early = (NOW - timedelta(days=1)).timestamp()
    for path in exports.iterdir():
        os.utime(path, (early, early))
    with open_project(root) as workspace:
        assert len(copies(workspace)) == 2
        (exports / "votes.jsonl").unlink()
        os.utime(exports / "training.jsonl")
        assert copies(workspace) == ()


def test_while_models_are_asked_nobody_is_forgotten(root: Path) -> None:
    with (
        open_project(root) as workspace,
        StoreServer(workspace.store, root / ".promptlabel"),
        workspace.store.hold(SENDING),
        pytest.raises(StoreError, match="asking models"),
    ):
        forget_her_elsewhere(root)


def test_through_a_lent_store_rows_go_at_once_and_bytes_when_it_is_closed(root: Path) -> None:
    with open_project(root) as workspace, StoreServer(workspace.store, root / ".promptlabel"):
        done = forget_her_elsewhere(root)
        assert done == "True False"
        assert not any(about(workspace.store, HER_TRACE).values())
    assert files_with(root / ".promptlabel", *HER_WORDS) == []


def forget_her_elsewhere(root: Path) -> str:
    """The same from another process: whether it is done, and erased."""
    script = (
        "import sys; from pathlib import Path; from promptlabel.store.contract import Whom\n"
        "from promptlabel.pipeline.forgetting.forget import Wish, forget\n"
        f"report = forget(Path(sys.argv[1]), Wish(Whom(users=['{HER}'])), lambda _: True)\n"
        "print(report.done, report.erased)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(root)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise StoreError(ran.stderr.splitlines()[-1])
    return ran.stdout.strip()


def test_what_is_older_than_the_configuration_keeps_goes(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", "retention: 30d\n")
    with open_project(root) as workspace:
        workspace.store.add_traces(
            [a_trace(3, timestamp=NOW - timedelta(days=29)), a_trace(4, timestamp=None)]
        )
    report = forget(root, Wish(retention=True), lambda _: True, NOW)
    assert report.plan.traces == 2
    with open_project(root) as workspace:
        assert {trace.trace_id for trace in workspace.store.traces()} == {"trace-00003", "trace-00004"}


def test_a_retention_that_is_not_set_or_not_understood_is_a_fault_of_the_configuration(
    tmp_path: Path,
) -> None:
    root = make_project(tmp_path / "project")
    with pytest.raises(InputError, match=r"promptlabel.yaml: retention: is not set.*such as 400d"):
        forget(root, Wish(retention=True), lambda _: True, NOW)
    (root / "promptlabel.yaml").write_text("retention: 400\n")
    with pytest.raises(InputError, match=r"promptlabel.yaml:1:1: retention"):
        load_project(root)
    (root / "promptlabel.yaml").write_text("retention: 2 years\n")
    with pytest.raises(InputError, match=r"in days or weeks, such as 400d or 52w, not '2 years'"):
        load_project(root)


def test_as_a_user_sees_it(root: Path, promptlabel: Run) -> None:
    asked = promptlabel("forget", "--user", HER, "--user", "nobody", "--dry-run", cwd=root).stdout
    assert re.search(r"votes +1\n", asked)
    assert "user nobody: nothing here; refused from now on" in asked
    assert "exports/training.jsonl holds 1 row of them: delete it, or export it again" in asked
    assert "Nothing was forgotten." in asked
    refused = promptlabel("forget", "--user", HER, "--json", cwd=root, check=False)
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    done = read_json(promptlabel("forget", "--user", HER, "--yes", "--json", cwd=root))
    assert (done["done"], done["erased"], done["forgotten"], done["plan"]["traces"]) == (True, True, 1, 1)
    checks = {
        one["name"]: one
        for one in read_json(promptlabel("doctor", "--json", cwd=root, check=False))["checks"]
    }
    assert checks["forgotten"]["detail"] == "1 trace"
    (root / "again.jsonl").write_text(
        f'{{"trace_id": "new", "user_id": "{HER}", "input": "i", "output": "o", "timestamp": "2026-08-01T00:00:00Z"}}\n'
    )
    again = promptlabel("ingest", "again.jsonl", cwd=root).stdout
    assert "forgotten" in again
    assert "--remember" in again
    report = read_json(promptlabel("ingest", "again.jsonl", "--json", cwd=root))
    assert (report["traces"], report["forgotten"]) == ({"added": 0, "present": 0}, 1)
    took = promptlabel("ingest", "again.jsonl", "--remember", "--json", cwd=root)
    assert read_json(took)["traces"]["added"] == 1


# --- killed at every line of what forgets

LAUNCHER = """
import os, signal, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from promptlabel.pipeline.forgetting.forget import Wish, forget
from promptlabel.store.contract import Whom
from promptlabel.store import duckdb_store, rewriting

WATCHED = ("forgetting", "forgettings", "forgetting_tables", "scrubbing", "agreeing", "rewriting", "files",
           "forget", "local_files", "holdings", "ledger", "duckdb_store", "journal")
passed = 0

def work(root, last):
    def watch(frame, event, argument):
        global passed
        name = os.path.basename(frame.f_code.co_filename).removesuffix(".py")
        if "promptlabel" not in frame.f_code.co_filename or name not in WATCHED:
            return None
        passed += 1
        if passed == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return watch
    threading.settrace(watch)
    sys.settrace(watch)
    forget(Path(root), Wish(Whom(users=["user-her"])), lambda _: True, datetime(2026, 9, 1, tzinfo=UTC))
    sys.settrace(None)
    print("passed", passed, flush=True)

for line in sys.stdin:
    root, last = line.split()
    child = os.fork()
    if child == 0:
        work(root, int(last))
        os._exit(0)
    os.waitpid(child, 0)
    print("over", flush=True)
"""


@pytest.fixture
def launcher() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def run_until(launcher: subprocess.Popen[str], root: Path, last: int) -> list[str]:
    assert launcher.stdin
    assert launcher.stdout
    launcher.stdin.write(f"{root} {last}\n")
    launcher.stdin.flush()
    said = []
    while (line := launcher.stdout.readline().strip()) != "over":
        said.append(line)
    return said


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_all_or_nothing_and_the_same_again_finishes(
    tmp_path: Path, launcher: subprocess.Popen[str]
) -> None:
    made = make_project(tmp_path / "made")
    with open_project(made) as workspace:
        hers, his = about(workspace.store, HER_TRACE), about(workspace.store, HIS_TRACE)
    whole = tmp_path / "whole"
    shutil.copytree(made, whole)
    lines = int(run_until(launcher, whole, 0)[0].split()[1])
    outcomes = set()
    for turn in range(POINTS):
        root = tmp_path / f"killed-{turn}"
        shutil.copytree(made, root)
        assert run_until(launcher, root, 1 + turn * lines // POINTS) == []
        with open_project(root) as workspace:
            left = about(workspace.store, HER_TRACE)
            assert left == hers or not any(left.values()), turn
            outcomes.add(bool(left["traces"]))
            assert about(workspace.store, HIS_TRACE) == his
        forget_her(root)
        assert files_with(root / ".promptlabel", *HER_WORDS) == [], turn
        with DuckDBStore(root / ".promptlabel" / "store.duckdb", root / ".promptlabel" / "journal") as store:
            assert store.verify().sound, turn
            assert store.spent() == Spent(1.0, 4)
        shutil.rmtree(root)
    assert outcomes == {True, False}


POINTS = 24
