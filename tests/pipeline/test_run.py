"""`run`: safe to start twice; a gate that fails leaves everything as it was."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promptlabel.errors import AlreadyRunningError, InputError
from promptlabel.pipeline.evaluating.freeze import freeze
from promptlabel.pipeline.evaluating.gate import Floor
from promptlabel.pipeline.run import RunReport, Wishes, run
from promptlabel.pipeline.since import since
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.records import Gold, Trace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOLD = """
import sys, time
from pathlib import Path
from promptlabel.store.holding import held
with held(Path(sys.argv[1]) / ".promptlabel", "running this project"):
    print("held", flush=True)
    time.sleep(60)
"""


def running(root: Path, **wishes: object) -> RunReport:
    return run(root, (), wishes=Wishes(**wishes), progress=Progress())  # type: ignore[arg-type]


@pytest.fixture
def labelled(tone) -> Path:
    """A closed project with a frozen eval set of 120 decided traces, exported and reported on by a run."""
    root, truth = tone.root, tone.truth
    tone.bring_gold(list(truth)[:120])
    tone.fit_and_queue()
    freeze(tone.workspace, tone.task, now=NOW)
    tone.workspace.store.close()
    assert running(root, floors=(Floor("accuracy", 0.5),), then=("export", "report")).exit_code == 0
    return root


def state(root: Path) -> dict[str, str]:
    """A digest of every file that follows from a fit, and of the fit and the queue themselves."""
    files = [
        path
        for part in ("evals", "exports", "report.html")
        for path in sorted([root / part, *(root / part).rglob("*")])
    ]
    found = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}
    with open_workspace(root) as workspace:
        fitted = workspace.store.posteriors("tone")
        assert fitted is not None
        found["fit"] = f"{fitted.fitted_at} {hashlib.sha256(fitted.probs.tobytes()).hexdigest()}"
        found["taught"] = str(workspace.store.state("taught:tone"))
        found["queue"] = str(workspace.store.queue("tone"))
    return found


def test_a_gate_that_fails_says_so_and_leaves_the_last_good_state(labelled: Path) -> None:
    with open_workspace(labelled) as workspace:
        names = [trace.trace_id for trace in workspace.store.traces()][-60:]
        wrong = {"good": "bad", "bad": "good"}
        fitted = workspace.store.posteriors("tone")
        assert fitted is not None
        said = dict(zip(fitted.trace_ids, fitted.probs.argmax(axis=1).tolist(), strict=True))
        workspace.store.add_gold(
            [Gold(name, "tone", wrong[fitted.labels[said[name]]], "bob", NOW, lane="audit") for name in names]
        )
    before = state(labelled)
    found = running(labelled, floors=(Floor("accuracy", 0.999),), then=("freeze", "export", "report"))
    assert (found.exit_code, found.stopped, found.written, found.queue) == (1, "gate", (), ())
    assert "is below 99.9% beyond noise" in found.message
    assert "as they were before" in found.message
    assert state(labelled) == before


def test_a_gate_that_passes_writes_what_was_asked_for(labelled: Path) -> None:
    found = running(labelled, floors=(Floor("accuracy", 0.5),), then=("freeze", "export", "report"))
    assert found.exit_code == 0
    assert [one.passed for one in found.gates] == [True]
    assert [Path(path).name for path in found.written] == ["training.jsonl", "report.html"]


def test_a_first_run_has_nothing_to_be_held_against(tone) -> None:
    tone.workspace.store.close()
    found = running(tone.root, floors=(Floor("accuracy", 0.999),), then=("report",))
    assert (found.exit_code, found.gates) == (0, [])


def test_a_second_start_does_nothing_and_says_who_runs(tone) -> None:
    root = tone.root
    tone.workspace.store.close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunningError, match=f"already running.*process {holder.pid} is"):
            running(root)
        second = subprocess.run(
            [sys.executable, "-m", "promptlabel", "run", "--project", str(root)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (second.returncode, second.stdout) == (75, "")
        assert "already running, so this start did nothing" in second.stderr.replace("\n", " ")
        holder.kill()
    assert running(root).exit_code == 0


def test_only_later_traces_are_voted_on(tone) -> None:
    store, root = tone.workspace.store, tone.root
    late = datetime(2027, 1, 1, tzinfo=UTC)
    new = [
        Trace("early", late - timedelta(days=9), input="thanks"),
        Trace("late", late, input="thanks"),
        Trace("timeless", input="thanks"),
    ]
    store.add_traces(new)
    store.close()
    found = running(root, since=late - timedelta(days=1))
    assert (found.vote.votes, found.vote.abstains) == (4, 2)
    with open_workspace(root) as workspace:
        voted = {
            vote.trace_id
            for _, vote in workspace.store.votes("tone", trace_ids=["early", "late", "timeless"])
        }
    assert voted == {"late", "timeless"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("24 h", NOW - timedelta(hours=24)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T06:00Z", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        (None, None),
    ],
)
def test_since(text: str | None, moment: datetime | None) -> None:
    assert since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "7 moons", "", "2026-13-01"])
def test_since_says_what_it_takes(text: str) -> None:
    with pytest.raises(InputError, match="write a date such as"):
        since(text, NOW)
