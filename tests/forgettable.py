"""A project about two persons, one of whom has a word of hers planted wherever a trace leaves text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
from store_samples import LABELS, RULE, TASK, a_review, a_trace, a_vote, an_attempt

from promptlabel.pipeline.exporting.trained import remember_trained
from promptlabel.pipeline.exporting.written import remember_written
from promptlabel.pipeline.voting.batch_log import Batch, BatchLog, Slot
from promptlabel.pipeline.workspace import Workspace, open_project
from promptlabel.records import Answer, Event, Gold, Pick, ReviewEvent, Usage
from promptlabel.store.contract import PosteriorTable, Store

WORD = "Xanthippe-the-planted"
HER_TRACE, HER = "trace-00001", "user-her"
HIS_TRACE = "trace-00002"
NOW = datetime(2026, 9, 1, tzinfo=UTC)
HER_REQUEST, HIS_REQUEST = str(a_vote(1).request), str(a_vote(2).request)


def make_project(root: Path, configuration: str = "") -> Path:
    """The project, its store closed."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "promptlabel.yaml").write_text(configuration or "budget: {usd: 5}\n")
    (root / "rules" / TASK).mkdir(parents=True, exist_ok=True)
    with open_project(root) as workspace:
        fill(workspace.store)
        leave_files(workspace)
    return root


def fill(store: Store) -> None:
    """Her trace and his, with something of each in every relation."""
    hers = a_trace(1, user_id=HER, session_id="s", input=f"I am {WORD}", metadata={"who": WORD}, messages=())
    store.add_traces([hers, a_trace(2, user_id="user-his")])
    store.add_events(Event(name, hers.timestamp or NOW, "edit", text) for name, text in _texts())
    store.add_signals((name, {"events.count": 1.0}) for name, _ in _texts())
    store.add_gold(Gold(name, TASK, "good", "ada", NOW) for name, _ in _texts())
    store.register_rules(TASK, [RULE])
    for number, (_, text) in enumerate(_texts(), start=1):
        failed = replace(a_vote(number, status="malformed"), raw=_answer(text), rationale=text)
        cast = replace(a_vote(number), raw=_answer(text), rationale=text)
        store.add_votes([failed], [an_attempt(failed, cause="malformed")])
        store.add_votes([cast], [an_attempt(cast)])
        store.settle()
        store.replace_votes([replace(cast, label="bad")])
        store.add_review(a_review(number))
    ids = tuple(name for name, _ in _texts())
    store.save_posteriors(PosteriorTable(TASK, LABELS, ids, np.full((2, 2), 0.5), NOW, "majority", {}))
    store.save_queue(TASK, [Pick(name, TASK, "audit", 1.0, 0.5, text, {}) for name, text in _texts()])


def leave_files(workspace: Workspace) -> None:
    """Batch files, leases, exports, a damaged store that was set aside."""
    log = BatchLog.of(workspace.project)
    log.folder.mkdir(parents=True, exist_ok=True)
    slots = [Slot(HER_REQUEST, "asks_again", HER_TRACE, 0), Slot(HIS_REQUEST, "asks_again", HIS_TRACE, 0)]
    lines = [
        {"custom_id": slot.request, "body": text} for slot, (_, text) in zip(slots, _texts(), strict=True)
    ]
    content = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    log.requests_file("b1").write_bytes(content)
    log.written(Batch("b1", TASK, "default", "/v1", 2, 0.1), slots)
    log.submitted("b1", "at-the-provider")
    log.received("b1", content)
    (log.folder / "b1.log").write_text(WORD)
    log.collected("b1")
    log.close()
    leases = [[TASK, name, "ada", "tab", NOW + timedelta(days=1)] for name, _ in _texts()]
    state = workspace.project.state
    (state / "leases.jsonl").write_bytes(b"".join(orjson.dumps(lease) + b"\n" for lease in leases))
    (state / "store.duckdb.damaged-1").write_text(WORD)
    exported = workspace.project.root / "exports" / "training.jsonl"
    exported.parent.mkdir(exist_ok=True)
    exported.write_text(WORD)
    remember_trained(workspace, TASK, exported, [HER_TRACE, HIS_TRACE])
    votes = exported.with_name("votes.jsonl")
    votes.write_text(WORD)
    remember_written(workspace, "votes", votes)


def about(store: Store, name: str) -> dict[str, object]:
    """All that is to be read of a trace."""
    return {
        "traces": list(store.traces([name])),
        "events": list(store.events([name])),
        "votes": list(store.votes(TASK, trace_ids=[name])),
        "gold": [one for one in store.gold(TASK) if one.trace_id == name],
        "reviews": [one for one in store.reviews(TASK) if one.trace_id == name],
        "picks": [one for one in store.queue(TASK) if one.trace_id == name],
    }


def files_with(folder: Path, *words: str) -> list[str]:
    """The files under the folder whose bytes hold one of the words."""
    needles = [word.encode() for word in words]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(needle in _bytes_of(path) for needle in needles)
    )


def _bytes_of(path: Path) -> bytes:
    """What the file holds; nothing where a running server has deleted it meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def a_late_decision() -> ReviewEvent:
    """What a page that still shows her trace sends."""
    return a_review(1, event="late")


def _texts() -> Iterator[tuple[str, str]]:
    yield HER_TRACE, f"said by {WORD}"
    yield HIS_TRACE, "said by him"


def _answer(text: str) -> Answer:
    return Answer(text, {"yes": 1.0}, 0.0, Usage(90, 2), 0.01)
