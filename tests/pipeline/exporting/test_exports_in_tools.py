"""Every export is loaded by the tool it is for: the same ids, the same labels, the texts as they were.

The tools are heavy and no part of the development requirements; each test skips where its tool is not installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import orjson
import pytest

from promptlabel.evals.freezing import EvalTask, freeze_version
from promptlabel.evals.versions import CASES_FILE, MANIFEST_FILE, cases_bytes, manifest_bytes
from promptlabel.pipeline.exporting.export import export
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Gold, Trace
from promptlabel.review.adjudication import Decision

pytestmark = pytest.mark.filterwarnings("default")

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TEXTS = {
    "plain": "Where is my order? I have been waiting for two weeks.",
    "=formula": '=HYPERLINK("http://127.0.0.1","click")',
    "template": "Dear {{ name }}, {% if paid %}thanks{% endif %} {# note #} {% endraw %}",
    "umlaut": "Straße, naïve, 日本語, emoji 🙂 and a\nnew line, a \"quote\" and a 'single' one",
    "json": '{"role": "user", "content": "text that is JSON"}',
    "file": "file:///etc/hostname",
}
LABELS = {name: ("good", "bad")[place % 2] for place, name in enumerate(TEXTS)}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A project with one frozen version of texts that are hard to carry."""
    (tmp_path / "promptlabel.yaml").write_text("")
    rules = tmp_path / "rules" / "tone"
    rules.mkdir(parents=True)
    (rules / "task.yaml").write_text("task: tone\nlabels: [good, bad]\nguidelines: Judge {{ the }} tone.\n")
    (rules / "greets.yaml").write_text('prompt: "{{ trace.input }}"\n')
    traces = {name: Trace(name, NOW, input=text, category="chat") for name, text in TEXTS.items()}
    decisions = [Decision(name, LABELS[name], ("ann",), True, NOW, "audit", 0.25) for name in TEXTS]
    version = freeze_version(EvalTask("tone", ("good", "bad")), decisions, traces, [], NOW).version
    assert version is not None
    folder = tmp_path / "evals" / "tone" / version.version
    folder.mkdir(parents=True)
    (folder / CASES_FILE).write_bytes(cases_bytes(version.cases))
    (folder / MANIFEST_FILE).write_bytes(manifest_bytes(version.manifest))
    with open_workspace(tmp_path) as opened:
        yield opened


SETS = {name: ("refund, bug", "none", "bug")[place % 3] for place, name in enumerate(TEXTS)}


@pytest.fixture
def sets(tmp_path: Path) -> Iterator[Workspace]:
    """The same texts under a task where several labels may apply."""
    (tmp_path / "promptlabel.yaml").write_text("")
    rules = tmp_path / "rules" / "topics"
    rules.mkdir(parents=True)
    (rules / "task.yaml").write_text("task: topics\nkind: several\nlabels: [refund, bug]\n")
    (rules / "words.yaml").write_text("keyword: {refund: refund}\n")
    traces = {name: Trace(name, NOW, input=text, category="chat") for name, text in TEXTS.items()}
    decisions = [Decision(name, SETS[name], ("ann",), True, NOW, "audit", 0.25) for name in TEXTS]
    task = EvalTask("topics", ("refund", "bug"), is_set=True)
    version = freeze_version(task, decisions, traces, [], NOW).version
    assert version is not None
    folder = tmp_path / "evals" / "topics" / version.version
    folder.mkdir(parents=True)
    (folder / CASES_FILE).write_bytes(cases_bytes(version.cases))
    (folder / MANIFEST_FILE).write_bytes(manifest_bytes(version.manifest))
    with open_workspace(tmp_path) as opened:
        opened.store.add_traces([Trace("new", NOW, input="a refund, please")])
        opened.store.add_gold([Gold("new", "topics", "bug, refund", "ann", NOW)])
        yield opened


def exported(workspace: Workspace, kind: str) -> Path:
    report = export(workspace, kind)
    return Path(report.path)


def test_inspect(workspace: Workspace) -> None:
    dataset = pytest.importorskip("inspect_ai.dataset")
    samples = list(dataset.json_dataset(str(exported(workspace, "inspect"))))
    assert {sample.id: sample.target for sample in samples} == LABELS
    assert {sample.id: sample.input[1].text for sample in samples} == transcripts()
    assert {sample.metadata["probability"] for sample in samples} == {0.25}


def test_hugging_face_datasets(workspace: Workspace) -> None:
    datasets = pytest.importorskip("datasets")
    folder = exported(workspace, "hf")
    rows = datasets.load_dataset(str(folder), "tone", split="test", cache_dir=str(folder.parent / "cache"))
    label = rows.features["label"]
    assert isinstance(label, datasets.ClassLabel)
    assert {row["trace_id"]: label.int2str(row["label"]) for row in rows} == LABELS
    assert {row["trace_id"]: row["text"] for row in rows} == transcripts()


def test_hugging_face_datasets_of_sets(sets: Workspace) -> None:
    datasets = pytest.importorskip("datasets")
    folder = exported(sets, "hf")
    splits = datasets.load_dataset(str(folder), "topics", cache_dir=str(folder.parent / "cache"))
    labels = splits["test"].features["labels"].feature
    assert isinstance(labels, datasets.ClassLabel)
    assert labels.names == ["refund", "bug"]
    said = {
        row["trace_id"]: ", ".join(map(labels.int2str, row["labels"])) or "none" for row in splits["test"]
    }
    assert said == SETS
    (row,) = splits["train"]
    assert (row["labels"], row["probs"], row["source"]) == ([0, 1], [1.0, 1.0], "gold")


def test_inspect_of_sets(sets: Workspace) -> None:
    dataset = pytest.importorskip("inspect_ai.dataset")
    samples = list(dataset.json_dataset(str(exported(sets, "inspect"))))
    assert {sample.id: sample.target for sample in samples} == SETS
    assert {", ".join(sample.metadata["labels"]) or "none" for sample in samples} == set(SETS.values())


def test_deepeval(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPEVAL_TELEMETRY_OPT_OUT", "YES")
    monkeypatch.chdir(workspace.project.root)
    deepeval = pytest.importorskip("deepeval.dataset")
    dataset = deepeval.EvaluationDataset()
    dataset.add_goldens_from_json_file(str(exported(workspace, "deepeval")))
    assert {golden.name: golden.expected_output for golden in dataset.goldens} == LABELS
    assert {one.additional_metadata["trace_id"] for one in dataset.goldens} == set(LABELS)


def test_openai_evals(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    data = pytest.importorskip("evals.data")
    rows = data.get_jsonl(str(exported(workspace, "openai-evals")))
    assert {row["trace_id"]: row["ideal"] for row in rows} == LABELS
    assert {row["trace_id"]: row["input"][1]["content"] for row in rows} == transcripts()


def test_langfuse(workspace: Workspace) -> None:
    api = pytest.importorskip("langfuse.api")
    pydantic_utilities = pytest.importorskip("langfuse.api.core.pydantic_utilities")
    rows = [orjson.loads(line) for line in exported(workspace, "langfuse").read_bytes().splitlines()]
    items = [pydantic_utilities.parse_obj_as(api.CreateDatasetItemRequest, row) for row in rows]
    assert {item.source_trace_id: item.expected_output for item in items} == LABELS
    assert {item.source_trace_id: item.input["transcript"] for item in items} == transcripts()


class _Recorder(BaseHTTPRequestHandler):
    """A Phoenix server that keeps what is uploaded to it."""

    bodies: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).bodies.append(json.loads(body))
        self._answer({"data": {"dataset_id": "d1", "version_id": "v1"}})

    def do_GET(self) -> None:
        if self.path.endswith("arize_phoenix_version"):
            self._send(b"99.0.0", "text/plain")
            return
        if "examples" in self.path:
            self._answer({"data": {"dataset_id": "d1", "version_id": "v1", "examples": []}})
            return
        about = {"id": "d1", "name": "tone", "created_at": NOW.isoformat(), "updated_at": NOW.isoformat()}
        self._answer({"data": [about | {"metadata": {}, "description": "", "example_count": 0}]})

    def _answer(self, body: dict[str, Any]) -> None:
        self._send(json.dumps(body).encode(), "application/json")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_phoenix(workspace: Workspace) -> None:
    client = pytest.importorskip("phoenix.client")
    rows = [orjson.loads(line) for line in exported(workspace, "phoenix").read_bytes().splitlines()]
    handler = type("Handler", (_Recorder,), {"bodies": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        phoenix = client.Client(base_url=f"http://127.0.0.1:{server.server_port}")
        phoenix.datasets.create_dataset(name="tone", examples=rows)
    finally:
        server.shutdown()
        server.server_close()
    (body,) = handler.bodies
    assert dict(zip(body["example_ids"], (one["label"] for one in body["outputs"]), strict=True)) == LABELS
    sent = [one["transcript"] for one in body["inputs"]]
    assert dict(zip(body["example_ids"], sent, strict=True)) == transcripts()


def test_phoenix_logs_what_people_said(workspace: Workspace) -> None:
    client = pytest.importorskip("phoenix.client")
    workspace.store.add_gold([Gold(name, "tone", label, "ann", NOW) for name, label in LABELS.items()])
    rows = [
        orjson.loads(line) for line in exported(workspace, "phoenix-annotations").read_bytes().splitlines()
    ]
    handler = type("Handler", (_Recorder,), {"bodies": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        phoenix = client.Client(base_url=f"http://127.0.0.1:{server.server_port}")
        phoenix.traces.log_trace_annotations(trace_annotations=rows)
    finally:
        server.shutdown()
        server.server_close()
    (body,) = handler.bodies
    said = {
        one["trace_id"]: one["result"]["label"] for one in body["data"] if one["annotator_kind"] == "HUMAN"
    }
    assert said == LABELS


def test_promptfoo(workspace: Workspace, tmp_path: Path) -> None:
    promptfoo = shutil.which("promptfoo")
    if promptfoo is None:
        pytest.skip("promptfoo is not installed")
    tests = exported(workspace, "promptfoo")
    config = {"prompts": ["{{transcript}}"], "providers": ["echo"], "tests": f"file://{tests}"}
    (tmp_path / "promptfooconfig.json").write_text(json.dumps(config))
    quiet = {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    }
    environment = {
        "PATH": f"{Path(promptfoo).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PROMPTFOO_CONFIG_DIR": str(tmp_path / "state"),
    } | quiet
    arguments = ["eval", "-c", "promptfooconfig.json", "-o", "out.json", "--no-cache", "--no-table"]
    subprocess.run(
        [promptfoo, *arguments], cwd=tmp_path, env=environment, capture_output=True, timeout=150, check=False
    )
    results = json.loads((tmp_path / "out.json").read_text())["results"]["results"]
    assert {
        one["testCase"]["metadata"]["trace_id"]: one["testCase"]["assert"][0]["value"] for one in results
    } == LABELS
    assert {
        one["testCase"]["metadata"]["trace_id"]: one["response"]["output"] for one in results
    } == transcripts()


def test_csv_in_pandas(workspace: Workspace) -> None:
    pandas = pytest.importorskip("pandas")
    rows = pandas.read_csv(exported(workspace, "csv"), keep_default_na=False)
    assert {
        name.removeprefix("'"): label for name, label in zip(rows.trace_id, rows.label, strict=True)
    } == LABELS
    assert dict(zip(LABELS, rows.sort_values("trace_id").text, strict=False)).keys() == LABELS.keys()


def test_json_lines_in_duckdb(workspace: Workspace) -> None:
    import duckdb

    found = duckdb.sql(f"SELECT trace_id, label FROM '{exported(workspace, 'jsonl')}'").fetchall()
    assert dict(found) == LABELS


def transcripts() -> dict[str, str]:
    return {name: f"user: {text}" for name, text in TEXTS.items()}
