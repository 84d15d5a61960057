"""Three nodes of a Ray cluster on this machine, one of which is killed."""

from __future__ import annotations

import json
import shutil
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.server import Server as Model
from faults.server import serving
from postgres_server import Server
from store_samples import a_trace

from promptlabel.pipeline.voting.coding import votes_digest
from promptlabel.pipeline.voting.vote import VoteReport, vote
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.store.contract import Spent

ray = pytest.importorskip("ray", reason="needs the ray extra")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TRACES = 400
HEURISTICS = """\
import time
from promptlabel import heuristic

@heuristic
def even(trace):
    time.sleep(0.002)
    return "good" if trace.metadata["number"] % 2 == 0 else None
"""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RUN", "secret")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.victim = nodes[-1]
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def model() -> Iterator[Model]:
    with serving("--latency", "0.02") as server:
        yield server


Make = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path, postgres: Server) -> Make:
    def make(name: str, *, heuristics: bool = False, model: Model | None = None, **settings: Any) -> Path:
        root = tmp_path / name
        folder = root / "rules" / "quality"
        folder.mkdir(parents=True)
        store = {"store": postgres.new_schema()} if settings.pop("shared", True) else {}
        if model:
            price = {"input": 1.0, "output": 2.0}
            known = {"model": "openai/mock", "api_base": model.url, "price": price, "api_key_env": "RUN"}
            settings["models"] = {"default": {**known, "concurrency": 12}}
            for rule in ("first", "second"):
                (folder / f"{rule}.yaml").write_text(
                    json.dumps({"prompt": f"rule={rule} {{{{ trace.input }}}}"})
                )
        (root / "promptlabel.yaml").write_text(json.dumps({**store, **settings}))
        (folder / "task.yaml").write_text("task: quality\nlabels: {good: g, bad: b}\n")
        if heuristics:
            (folder / "heuristics.py").write_text(HEURISTICS)
        with open_workspace(root) as workspace:
            traces = (a_trace(number, input=f"key=t{number} text") for number in range(TRACES))
            workspace.store.add_traces(traces)
        return root

    return make


RAY = {"executor": "ray", "shard": 20}


def voted(root: Path) -> VoteReport:
    with open_workspace(root) as workspace:
        return vote(workspace)


def votes_of(root: Path) -> tuple[int, int, Spent]:
    """How many votes there are, each once, their digest, and what was spent."""
    with open_workspace(root) as workspace:
        votes = [vote for _, vote in workspace.store.votes("quality")]
        assert len({vote.key for vote in votes}) == len(votes)
        return len(votes), votes_digest(votes), workspace.store.spent()


def killing(cluster: Any, root: Path, when: Callable[[], bool]) -> VoteReport:
    """The report of a run whose cluster loses a node as soon as it may."""
    found: list[VoteReport | BaseException] = []

    def run() -> None:
        try:
            found.append(voted(root))
        except BaseException as error:  # noqa: BLE001 - it is raised below
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not when() and time.monotonic() < deadline and thread.is_alive():
        time.sleep(0.02)
    assert thread.is_alive(), found
    cluster.remove_node(cluster.victim, allow_graceful=False)
    thread.join(150)
    assert found, "the run hangs"
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def cast_so_far(root: Path) -> int:
    with open_workspace(root) as workspace:
        return sum(sum(counts.values()) for counts in workspace.store.count_votes("quality").values())


def test_code_rules_vote_once_though_a_node_dies(cluster: Any, project: Make) -> None:
    inline, spread = (
        project("inline", heuristics=True, shared=False),
        project("spread", heuristics=True, engine=RAY),
    )
    report = killing(cluster, spread, lambda: cast_so_far(spread) > 60)
    voted(inline)
    assert votes_of(spread) == votes_of(inline)
    assert report.votes + report.abstains <= TRACES


def test_models_are_asked_once_but_for_what_was_in_flight_though_a_node_dies(
    cluster: Any, project: Make, model: Model
) -> None:
    spread = project("spread", model=model, engine=RAY)
    killing(cluster, spread, lambda: model.asked > 150)
    count, found, spent = votes_of(spread)
    asked = Counter(request.key for request in model.log())
    repeats = sum(times - 1 for times in asked.values())
    assert count == 2 * TRACES
    assert len(asked) == 2 * TRACES
    assert repeats <= 4, "a node had at most a third of 12 requests in flight"
    assert 2 * TRACES <= spent.calls <= 2 * TRACES + repeats
    inline = project("inline", model=model, shared=False)
    shutil.copy(spread / ".promptlabel" / "secret", inline / ".promptlabel" / "secret")
    voted(inline)
    assert (count, found) == votes_of(inline)[:2]


def test_the_budget_is_never_passed_and_a_higher_one_goes_on(
    cluster: Any, project: Make, model: Model
) -> None:
    spread = project("spread", model=model, engine=RAY, budget={"calls": 123})
    report = voted(spread)
    assert report.stopped == "budget"
    assert model.asked <= 123
    count, _, spent = votes_of(spread)
    assert count == spent.calls == model.asked
    assert spent.calls >= 120
    settings = json.loads((spread / "promptlabel.yaml").read_text())
    (spread / "promptlabel.yaml").write_text(json.dumps({**settings, "budget": {"usd": 0.04}}))
    report = voted(spread)
    count, _, spent = votes_of(spread)
    assert report.stopped == "budget"
    assert spent.usd <= 0.04
    assert spent.calls > 123
