"""Projects of one small task for tests, and one where several labels may apply, with rules of every way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Gold, Trace

START = datetime(2026, 6, 1, tzinfo=UTC)
CONFIGURATION = """\
routing: {share: 0.3, audit: 0.5}
models:
  default: {provider: scripted, model: script.yaml}
"""


def project(folder: Path, task: str, files: dict[str, str], script: str = "[]") -> Path:
    rules = folder / "rules" / task
    rules.mkdir(parents=True)
    (folder / "promptlabel.yaml").write_text(CONFIGURATION)
    (folder / "script.yaml").write_text(script)
    for name, text in files.items():
        (rules / name).write_text(text)
    return folder


def gold(workspace: Workspace, task: str, labels: dict[str, str], reviewer: str = "ann") -> None:
    at = START + timedelta(days=90)
    workspace.store.add_gold([Gold(name, task, label, reviewer, at) for name, label in labels.items()])


TOPICS = """\
task: topics
kind: several
labels: {refund: "Money back.", shipping: "Where it is.", bug: "It is broken."}
"""
TOPIC_RULES = {
    "task.yaml": TOPICS,
    "words.yaml": "keyword: {refund: [refund, money], shipping: [parcel], bug: [broken], none: [thanks]}\n"
    "examples: [{input: 'money for my parcel', vote: [shipping, refund]}]\n",
    "asks_refund.yaml": 'prompt: "{{ trace.input }} Does the user want a refund?"\nanswers: {"yes": refund, "no": none}\n'
    "decode: logprobs\n",
    "all_of_them.yaml": 'prompt: "{{ trace.input }} Which apply?"\ndecode: json\n'
    "examples:\n- {input: refund my parcel, vote: [shipping, refund]}\n- {input: it is broken, vote: bug}\n",
    "heuristics.py": "from promptlabel import heuristic\n\n\n@heuristic\ndef long(trace):\n"
    "    return {'bug': len(trace.input) > 36, 'shipping': 'parcel' in trace.input}\n",
}
TOPIC_SCRIPT = """\
- {match: "(?s)refund.*want a refund", distribution: {"yes": 0.9, "no": 0.1}}
- {match: "want a refund", distribution: {"yes": 0.2, "no": 0.8}}
- {match: "(?s)refund.*parcel.*Which", text: '{"answer": ["shipping", "refund"]}'}
- {match: "(?s)parcel.*Which", text: '{"answer": ["shipping"]}'}
- {match: "(?s)broken.*Which", text: '{"answer": ["bug"]}'}
- {match: "Which", text: '{"answer": []}'}
"""
TEXTS = {
    "none": "thanks a lot, number {}",
    "refund, shipping": "refund me, the parcel {} never came",
    "shipping": "where is parcel {}",
    "bug": "it is broken again and again, device {}",
}


def topic_traces(count: int = 120) -> list[Trace]:
    """Traces in turns of the four sets, an hour apart."""
    names = list(TEXTS)
    return [
        Trace(f"t{place:03}", START + timedelta(hours=place), input=TEXTS[names[place % 4]].format(place))
        for place in range(count)
    ]


def topic_truth(count: int = 120) -> dict[str, str]:
    """Trace id -> the set that is right."""
    names = list(TEXTS)
    return {f"t{place:03}": names[place % 4] for place in range(count)}


@pytest.fixture
def topics(tmp_path: Path) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A task where several labels may apply, voted on by rules of every way, and the true sets."""
    with open_workspace(project(tmp_path, "topics", TOPIC_RULES, TOPIC_SCRIPT)) as workspace:
        workspace.store.add_traces(topic_traces())
        assert vote(workspace).exit_code == 0
        yield workspace, topic_truth()
