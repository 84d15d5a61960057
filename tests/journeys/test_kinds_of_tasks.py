"""A task of several labels and one of ordered labels, from an empty folder to exports, by the command line and the page."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from review_page import reviewing

Run = Callable[..., "subprocess.CompletedProcess[str]"]

START = datetime(2026, 6, 1, tzinfo=UTC)
SIZE = 160

LABELS = ("refund", "shipping", "bug")
WORDS = {"refund": "money", "shipping": "parcel", "bug": "broken"}
TOPICS = {
    "task.yaml": "task: topics\nkind: several\nlabels: {refund: Money back., shipping: Where it is., bug: It fails.}\n",
    "words.yaml": "keyword: {refund: money, shipping: parcel, bug: broken, none: thanks}\n"
    "examples: [{input: money for the broken one, vote: [bug, refund]}]\n",
    "asks_refund.yaml": 'prompt: "{{ trace.input }} Is money asked for?"\nanswers: {"yes": refund, "no": none}\n'
    "decode: logprobs\n",
    "all_of_them.yaml": 'prompt: "{{ trace.input }} Which apply?"\ndecode: json\n',
}
TOPIC_SCRIPT = """\
- {match: "(?s)money.*Is money", distribution: {"yes": 0.9, "no": 0.1}}
- {match: "Is money", distribution: {"yes": 0.2, "no": 0.8}}
- {match: "(?s)money.*parcel.*Which", text: '{"answer": ["shipping", "refund"]}'}
- {match: "(?s)parcel.*Which", text: '{"answer": ["shipping"]}'}
- {match: "(?s)broken.*Which", text: '{"answer": ["bug"]}'}
- {match: "Which", text: '{"answer": []}'}
"""

STARS = {
    "task.yaml": "task: stars\nkind: ordered\nlabels: [poor, fair, good]\n",
    "words.yaml": "keyword: {poor: awful, fair: passable, good: splendid}\nexamples: [{input: awful, vote: poor}]\n",
    "asked.yaml": 'prompt: "{{ trace.input }} How was it?"\nanswers: {low: poor, middle: fair, high: good}\n',
}
STAR_WORDS = {"poor": "awful", "fair": "passable", "good": "splendid"}
STAR_SCRIPT = """\
- {match: "awful", answer: low}
- {match: "splendid", answer: high}
- {match: "passable", answer: middle}
- {answer: middle}
"""


class Journey:
    """A project of one task, and what is true of its traces; verbs are run as a user runs them."""

    def __init__(self, run: Run, root: Path, truth: dict[str, str]) -> None:
        self.run, self.root, self.truth = run, root, truth

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json", cwd=self.root).stdout)

    def code(self, *arguments: str) -> int:
        return self.run(*arguments, cwd=self.root, check=False).returncode

    def review(self, task: str, count: int) -> dict[str, str]:
        """So many decisions on the page, each as somebody says it who lists labels in any order."""
        decided: dict[str, str] = {}
        with reviewing(self.root) as client:
            while len(decided) < count:
                wanted = {"tab": "tab", "count": 10}
                items = client.post(f"/api/tasks/{task}/next", json=wanted).json()["items"]
                names = [item["trace_id"] for item in items if item["trace_id"] not in decided]
                if not names:
                    break
                said = {name: ", ".join(reversed(self.truth[name].split(", "))) for name in names}
                events = [
                    {"event_id": f"e-{name}", "action": "label", "trace_id": name, "label": label}
                    for name, label in said.items()
                ]
                answer = client.post(f"/api/tasks/{task}/events", json={"events": events}).json()
                assert {one["outcome"] for one in answer["results"]} == {"stored"}
                decided |= said
        return decided


def begun(run: Run, folder: Path, rules: dict[str, str], script: str, task: str) -> Path:
    """What `init` makes, with a task of one's own in place of the example's."""
    run("init", "mine", cwd=folder)
    root = folder / "mine"
    shutil.rmtree(root / "rules" / "answer_quality")
    (root / "rules" / task).mkdir()
    for name, text in rules.items():
        (root / "rules" / task / name).write_text(text)
    (root / "script.yaml").write_text(script)
    (root / "promptlabel.yaml").write_text(
        "models: {default: {provider: scripted, model: script.yaml}}\nrouting: {share: 0.4, audit: 0.5}\n"
    )
    return root


def log(root: Path, texts: dict[str, str], task: str, gold: dict[str, object]) -> Path:
    """Traces, and gold for some, as a product and its people might have written them down."""
    traces = [
        {"trace_id": name, "timestamp": (START + timedelta(hours=place)).isoformat(), "input": text,
         "output": "noted", "category": ("mail", "chat")[place % 2]}
        for place, (name, text) in enumerate(texts.items())
    ]  # fmt: skip
    at = (START + timedelta(days=60)).isoformat()
    given = [
        {"trace_id": name, "task": task, "label": label, "reviewer": "ann", "timestamp": at}
        for name, label in gold.items()
    ]
    path = root / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*traces, *given]))
    return path


def noisy(rng: np.random.Generator, words: list[str]) -> str:
    return " ".join([*words, *(f"word{number}" for number in rng.integers(0, 5000, 12))])


@pytest.fixture
def topics(promptlabel: Run, tmp_path: Path) -> Journey:
    rng = np.random.default_rng(5)
    root = begun(promptlabel, tmp_path, TOPICS, TOPIC_SCRIPT, "topics")
    sets = {f"t{n:03}": [label for label in LABELS if rng.random() < 0.4] for n in range(SIZE)}
    texts = {
        name: noisy(rng, [WORDS[label] for label in own] if own else ["thanks"]) for name, own in sets.items()
    }
    truth = {name: ", ".join(own) or "none" for name, own in sets.items()}
    log(root, texts, "topics", {name: list(reversed(own)) for name, own in list(sets.items())[:40]})
    return Journey(promptlabel, root, truth)


def test_a_task_of_several_labels_from_init_to_exports(topics: Journey) -> None:
    read = topics.json("ingest", "log.jsonl")
    assert (read["traces"]["added"], read["gold"]["added"]) == (SIZE, 40)
    assert topics.json("check")["rules"] == 3

    seen = topics.json("preview", "asks_refund", "-n", "30")
    judged = [row["right"] for row in seen["traces"] if row["gold"] is not None]
    assert len(judged) >= 15
    assert all(judged)
    assert {row["speaks_of"][0] for row in seen["traces"]} == {"refund"}

    voted = topics.json("vote")
    assert (voted["malformed"], voted["errors"]) == (0, 0)
    assert topics.json("fit")["gold"] == 40
    queue = topics.json("queue")["items"]
    decided = topics.review("topics", len(queue))
    assert len(decided) >= 0.3 * SIZE

    frozen = topics.json("freeze")
    assert frozen["cases"] == len(decided.keys() | set(list(topics.truth)[:40]))
    cases = [
        json.loads(line) for line in (topics.root / frozen["path"] / "cases.jsonl").read_text().splitlines()
    ]
    assert {case["trace_id"]: case["label"] for case in cases}.items() <= topics.truth.items()

    topics.json("fit", "--model", "em")
    scored = topics.json("score")
    figures = {one["name"]: one for one in scored["labelers"]}
    assert figures.keys() == {"posterior", "majority", "words", "asks_refund", "all_of_them"}
    assert figures["posterior"]["score"]["accuracy"]["estimate"] > 0.9
    assert figures["asks_refund"]["sets"]["labels"]["refund"]["f1"]["estimate"] == 1
    assert figures["all_of_them"]["recall"]["bug"]["estimate"] < 0.9
    assert topics.code("gate", "posterior", "--min", "0.8", "--min", "f1:refund=0.9") == 0
    assert topics.code("gate", "all_of_them", "--min", "recall:bug=0.95") == 1
    assert (
        "no figure 'f1:refunds'"
        in topics.run("gate", "words", "--min", "f1:refunds=0.9", cwd=topics.root, check=False).stderr
    )

    exported = topics.json("export", "--to", "hf", "--out", "dataset")
    assert exported["rows"] > len(cases)
    found = duckdb.connect().sql(f"select trace_id, labels from '{topics.root}/dataset/topics/test.parquet'")
    assert {name: ", ".join(LABELS[k] for k in own) or "none" for name, own in found.fetchall()} == {
        case["trace_id"]: case["label"] for case in cases
    }
    samples = topics.json("export", "--to", "inspect", "--out", "inspect.jsonl")
    assert samples["rows"] == len(cases)
    assert topics.json("report")["path"]
    assert "right" in topics.run("explain", "words", cwd=topics.root).stdout


@pytest.fixture
def stars(promptlabel: Run, tmp_path: Path) -> Journey:
    rng = np.random.default_rng(6)
    root = begun(promptlabel, tmp_path, STARS, STAR_SCRIPT, "stars")
    truth = {f"s{n:03}": str(rng.choice(list(STAR_WORDS))) for n in range(SIZE)}
    said = {name: STAR_WORDS[label] if rng.random() < 0.9 else "passable" for name, label in truth.items()}
    texts = {name: noisy(rng, [word]) for name, word in said.items()}
    log(root, texts, "stars", dict(list(truth.items())[:40]))
    return Journey(promptlabel, root, truth)


def test_a_task_of_ordered_labels_from_init_to_exports(stars: Journey) -> None:
    assert stars.json("ingest", "log.jsonl")["gold"]["added"] == 40
    assert stars.json("check")["rules"] == 2
    rows = stars.json("preview", "words", "-n", "30")["traces"]
    assert [row["right"] for row in rows if row["gold"]] == [
        row["vote"] == row["gold"] for row in rows if row["gold"]
    ]
    stars.json("vote")
    assert 0 < stars.json("fit")["report"]["calibration"]["mean_distance"] < 0.4
    assert all(0 < row["ordered"]["distance"] < 0.4 for row in stars.json("analyze")["rules"])
    queue = stars.json("queue")["items"]
    assert len(stars.review("stars", len(queue))) >= 0.3 * SIZE
    frozen = stars.json("freeze")
    stars.json("fit", "--model", "em")
    (one,) = stars.json("score", "posterior")["labelers"]
    assert one["ordered"]["distance"] < 0.3
    assert one["ordered"]["kappa"] > 0.8
    assert stars.code("gate", "posterior", "--min", "0.7") == 0
    assert stars.code("gate", "posterior", "--min", "0.999", "--min", "recall:poor=0.999") == 1
    test = stars.json("export", "--to", "inspect", "--out", "inspect.jsonl")
    assert test["rows"] == frozen["cases"]
    assert stars.json("export", "--to", "training", "--out", "training.parquet")["rows"] > 0
