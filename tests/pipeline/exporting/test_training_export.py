"""Training exports on a real store: as of the prediction, capped, reweighted, checked for leakage, and as chats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from promptlabel.cli import commands
from promptlabel.errors import InputError
from promptlabel.pipeline.exporting.export import ExportReport, TrainingWish, export
from promptlabel.pipeline.exporting.lineage import known_exports
from promptlabel.pipeline.fitting.fit import fit
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.records import Event, Gold, Message, Trace
from promptlabel.training.guard import NO_ANSWER, NO_VOTE, OTHER_LABEL, OVER_QUOTA

START = datetime(2026, 6, 1, tzinfo=UTC)
HEURISTICS = """\
from promptlabel import heuristic

@heuristic
def praised(trace):
    return "good" if trace.signal("thanked") else "bad" if trace.signal("returned") else None
"""


def lines(report: ExportReport) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in Path(report.path).read_bytes().splitlines()]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Conversations of two rounds; people thank or return after the first answer, some say nothing at all."""
    folder = tmp_path / "rules" / "tone"
    folder.mkdir(parents=True)
    (tmp_path / "promptlabel.yaml").write_text("")
    (folder / "task.yaml").write_text("task: tone\nlabels: [good, bad]\npredict_at: answer\n")
    (folder / "heuristics.py").write_text(HEURISTICS)
    with open_workspace(tmp_path) as workspace:
        workspace.store.add_traces(map(_conversation, range(120)))
        workspace.store.add_events(filter(None, map(_reaction, range(120))))
        _signals(workspace)
        vote(workspace, rules=(), limit=None, progress=Progress())
        fit(workspace, workspace.tasks[0], method="majority")
    return tmp_path


def _signals(workspace: Any) -> None:
    from promptlabel.traces.signals import compute_signals

    store = workspace.store
    store.add_signals(
        (trace.trace_id, compute_signals(trace, list(store.events([trace.trace_id]))))
        for trace in list(store.traces())
    )


def _conversation(i: int) -> Trace:
    at = START + timedelta(hours=i)
    said = ("q", "a", "more", "b") if i % 10 else ("q",)
    messages = tuple(
        Message(("user", "assistant")[place % 2], f"{word} {i} w{i % 7}", at + timedelta(minutes=place))
        for place, word in enumerate(said)
    )
    known_later = {"resolution": "kept" if i % 2 else "sent back", "plan": ("free", "pro")[i % 3 == 0]}
    return Trace(
        f"t{i:03}", at, messages=messages, category=("shoes", "hats")[i % 4 == 0], metadata=known_later
    )


def _reaction(i: int) -> Event | None:
    if i % 4 == 0 and i % 3:
        return None
    return Event(f"t{i:03}", START + timedelta(hours=i, minutes=30), "thanked" if i % 2 else "returned")


def run(root: Path, kind: str = "training", wish: TrainingWish = TrainingWish()) -> ExportReport:  # noqa: B008
    with open_workspace(root) as workspace:
        return export(workspace, kind, wish=wish)


def configure(root: Path, text: str) -> None:
    (root / "promptlabel.yaml").write_text(text)


def test_rows_hold_what_was_knowable_at_the_first_answer(shop: Path) -> None:
    for row in lines(run(shop)):
        assert len(row["messages"]) <= 2
        assert row["features"]["messages"] == len(row["messages"])
        assert not {"thanked", "returned"} & row["features"].keys()
        assert row["predicted_at"] == row["messages"][-1]["timestamp"]
        assert row["predicted_at"] < row["as_of"]


def test_what_metadata_knows_of_the_future_is_reported_and_nothing_else(shop: Path) -> None:
    (checks,) = run(shop).checks
    assert [leak.feature for leak in checks.leaks] == ["metadata.resolution"]
    assert checks.sampled == 100
    assert checks.split is not None
    assert checks.figures.keys() == {"distinct_pairs", "effective_texts", "label_delay_days"}
    with open_workspace(shop) as workspace:
        (record,) = known_exports(workspace)
    assert record.figures == pytest.approx(checks.figures)


def test_a_cap_keeps_the_same_rows_of_every_category(shop: Path) -> None:
    configure(shop, "training: {most: 20}\n")
    first = run(shop)
    kept = [row["trace_id"] for row in lines(first)]
    assert len(kept) == 30
    assert {one.reason for one in first.refused} == {NO_VOTE, OVER_QUOTA}
    assert [row["trace_id"] for row in lines(run(shop))] == kept


def test_rows_weigh_more_where_few_like_them_have_a_label(shop: Path) -> None:
    report = run(shop, wish=TrainingWish(reweight=True))
    rows = lines(report)
    weight = {
        name: [row["weight"] for row in rows if (int(row["trace_id"][1:]) % 4 == 0) == name]
        for name in (True, False)
    }
    assert min(weight[True]) > max(weight[False])
    assert all(0 < row["propensity"] < 1 for row in rows)
    (one,) = report.reweighted
    assert one.labelled == pytest.approx(100 / 120)
    assert one.ess < one.rows
    assert "the audit is too small" in str(one.warning)


def test_an_audit_that_shows_labels_to_decide_who_has_one_warns(tone: Any) -> None:
    """Bad ones are voted on by rules more often: people know, since they looked at some drawn at random."""
    store = tone.workspace.store
    fit(tone.workspace, tone.task, method="majority")
    silent = [
        Trace(f"s{i}", START, input=f"nothing to go by {i} x{i * 7}", output="ok", category="chat")
        for i in range(60)
    ]
    store.add_traces(silent)
    store.add_gold(
        Gold(name, "tone", label, "bob", START, lane="audit", probability=0.5)
        for name, label in [*((trace.trace_id, "good") for trace in silent), *list(tone.truth.items())[::2]]
    )
    report = export(tone.workspace, "training", wish=TrainingWish(reweight=True))
    assert report.reweighted[0].explained is False
    assert "depends on the label itself" in str(report.reweighted[0].warning)


def test_the_labelling_task_is_written_as_chats(shop: Path) -> None:
    report = run(shop, "sft")
    rows = lines(report)
    assert len(rows) == 100
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["system", "user", "assistant"]
        assert row["messages"][-1]["content"] == row["metadata"]["label"]
        assert "- good" in row["messages"][0]["content"]
    assert report.training is not None


def test_conversations_of_one_label_are_kept_up_to_their_answer(shop: Path) -> None:
    report = run(shop, "sft", TrainingWish(keep="good"))
    rows = lines(report)
    assert {row["metadata"]["label"] for row in rows} == {"good"}
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    assert {one.reason for one in report.refused} == {NO_VOTE, OTHER_LABEL}
    bad = run(shop, "sft", TrainingWish(keep="bad"))
    assert NO_ANSWER in {one.reason for one in bad.refused}


@pytest.mark.parametrize(
    ("kind", "wish", "message"),
    [
        ("votes", TrainingWish(("x/y",)), "--for: goes with training, hf, sft, preferences, not with votes"),
        ("training", TrainingWish(keep="good"), "--keep: goes with sft"),
        ("sft", TrainingWish(keep="god"), "did you mean 'good'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    shop: Path, kind: str, wish: TrainingWish, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(shop, kind, wish)


def test_the_terminal_tells_of_guards_and_alarms(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(shop, "training: {human_share: 0}\n")
    arguments = ["export", "--to", "training", "--for", "org/m", "--reweight", "--project", str(shop)]
    commands.main(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    assert "people decided 0 of 100 rows (0.0%)" in shown
    assert "metadata.resolution alone tells" in shown
    assert "is it known at the prediction?" in shown
    assert "trained_on: exports/training.jsonl@" in shown
