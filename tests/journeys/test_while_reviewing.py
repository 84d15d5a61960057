"""The page is up, and everything else goes on: other commands reach the store through its process."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from review_page import reviewing

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def read_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one object on stdout."""
    return json.loads(done.stdout)


def handed_out(client: httpx.Client) -> list[str]:
    reply = client.post("/api/tasks/answer_quality/next", json={"tab": "tab", "count": 5})
    return [item["trace_id"] for item in reply.json()["items"]]


def eventually(found: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + 20
    while not (items := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return items


def test_vote_fit_queue_export_and_report_work_while_the_page_is_up(project: Path, promptlabel: Run) -> None:
    with reviewing(project) as client:
        assert handed_out(client) == []
        assert read_json(promptlabel("vote", "--json", cwd=project))["votes"] > 0
        promptlabel("fit", cwd=project)
        queued = read_json(promptlabel("queue", "--json", cwd=project))["items"]
        (trace_id, *_) = eventually(lambda: handed_out(client))
        assert trace_id in {item["trace_id"] for item in queued}
        event = {"event_id": "one", "action": "label", "trace_id": trace_id, "label": "good"}
        answer = client.post("/api/tasks/answer_quality/events", json={"events": [event]}).json()
        assert answer["results"][0]["outcome"] == "stored"
        assert answer["results"][0]["reveal"]["votes"]
        promptlabel("export", "--to", "gold", "--out", "gold.jsonl", cwd=project)
        assert trace_id in (project / "gold.jsonl").read_text()
        people = read_json(promptlabel("reviewers", "--json", cwd=project))["reviewers"]
        assert [(row["reviewer"], row["counts"]["labelled"]) for row in people] == [("reviewer", 1)]
        promptlabel("report", cwd=project)
    assert read_json(promptlabel("export", "--to", "queue", "--json", cwd=project))["rows"] >= 0
