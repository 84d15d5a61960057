"""Three nodes of a Ray cluster on this machine, one of which is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
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

from promptlabel.errors import PromptlabelError
from promptlabel.pipeline.voting import spreading
from promptlabel.pipeline.voting.coding import votes_digest
from promptlabel.pipeline.voting.vote import VoteReport, vote
from promptlabel.pipeline.workspace import open_workspace
from promptlabel.store.contract import PLACES, Spent

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


NODES: dict[str, Any] = {
    "include_dashboard": False,
    "_system_config": {
        "health_check_period_ms": 1000,
        "health_check_timeout_ms": 1500,
        "health_check_failure_threshold": 4,
    },
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node for the driver and one more; what a test does to a third node is its own business."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as environment, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RUN", "secret")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **NODES})
        cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def victim(cluster: Any) -> Iterator[Any]:
    """A third node."""
    node = cluster.add_node(num_cpus=1)
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node, allow_graceful=False)


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


def hurting(root: Path, when: Callable[[], bool], hurt: Callable[[], None]) -> VoteReport:
    """The report of a run to which something is done as soon as it may."""
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
    hurt()
    thread.join(150)
    assert found, "the run hangs"
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def cast_so_far(root: Path) -> int:
    with open_workspace(root) as workspace:
        return sum(sum(counts.values()) for counts in workspace.store.count_votes("quality").values())


def test_code_rules_vote_once_though_a_node_dies(cluster: Any, victim: Any, project: Make) -> None:
    inline, spread = (
        project("inline", heuristics=True, shared=False),
        project("spread", heuristics=True, engine=RAY),
    )
    report = hurting(
        spread,
        when=lambda: cast_so_far(spread) > 60,
        hurt=lambda: cluster.remove_node(victim, allow_graceful=False),
    )
    voted(inline)
    assert votes_of(spread) == votes_of(inline)
    assert report.votes + report.abstains <= TRACES


def test_a_rule_that_the_kernel_kills_for_its_memory_is_named_and_the_rest_can_go_on(
    cluster: Any, project: Make, hungry: Any
) -> None:
    root = project("hungry", heuristics=True, engine={**RAY, "workers": 2, "shard": 100})
    rules = root / "rules" / "quality" / "heuristics.py"
    rules.write_text(HEURISTICS + hungry.source)
    with pytest.raises(PromptlabelError, match=r"^voting by quality/hungry over part .*engine\.shard"):
        voted(root)
    before = cast_so_far(root)
    assert before >= 100
    hungry.feed()
    voted(root)
    assert votes_of(root)[0] == 2 * TRACES


def test_models_are_asked_once_but_for_what_was_in_flight_though_a_node_dies(
    cluster: Any, victim: Any, project: Make, model: Model
) -> None:
    model.behave(latency=0.4)
    spread = project("spread", model=model, engine={**RAY, "workers": 6})

    def when() -> bool:
        """When an actor of the node asks; Ray need not have put one there, and half-way the node dies all the same."""
        return (model.asked > 60 and asks(root=spread, node=victim)) or model.asked > TRACES

    def hurt() -> None:
        cluster.remove_node(victim, allow_graceful=False)
        model.behave(latency=0.02)

    hurting(spread, when, hurt)
    count, found, spent = votes_of(spread)
    asked = Counter(request.key for request in model.log())
    repeats = sum(times - 1 for times in asked.values())
    assert count == 2 * TRACES
    assert len(asked) == 2 * TRACES
    assert repeats <= 12, "no more were in flight"
    assert model.stats()["most_open"] <= 12 + repeats, (
        "the server may still be busy with what a dead node asked"
    )
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


def test_places_go_to_whom_there_is_work_for_and_are_never_more_than_configured(
    cluster: Any, project: Make, model: Model
) -> None:
    root = project("spread", model=model, engine={**RAY, "workers": 3})
    left = keep_only_the_first_of_twelve_parts(root)
    voted(root)
    assert votes_of(root)[0] == 2 * left
    assert model.stats()["most_open"] == 12, "one actor has what the others cannot use"


def keep_only_the_first_of_twelve_parts(root: Path) -> int:
    """How many traces are left, of more than there were."""
    with open_workspace(root) as workspace:
        workspace.store.add_traces(a_trace(number, input=f"key=t{number} text") for number in range(3600))
    with connected(root) as connection:
        last = PLACES // 12 - PLACES // 2
        connection.execute("DELETE FROM traces WHERE place >= %s", [last])
        found = connection.execute("SELECT count(*) FROM traces").fetchone()
    return found[0] if found else 0


def connected(root: Path) -> Any:
    import psycopg

    return psycopg.connect(json.loads((root / "promptlabel.yaml").read_text())["store"], autocommit=True)


def test_a_wait_that_the_server_asks_of_one_actor_holds_all(
    cluster: Any, project: Make, model: Model
) -> None:
    root = project("spread", model=model, engine={**RAY, "workers": 3})

    def refuse() -> None:
        model.behave(rates={"429_retry_after": 1.0}, retry_after=2.0)
        asked = model.asked
        while model.asked == asked:
            time.sleep(0.01)
        model.behave(rates={})

    hurting(root, when=lambda: model.asked > 150, hurt=refuse)
    log = model.log()
    until = min(request.until for request in log if request.until)
    heard = max(request.replied for request in log if request.until and request.replied)
    early = [request for request in log if heard + 0.5 < request.arrived < until]
    assert early == []
    assert votes_of(root)[0] == 2 * TRACES


def workers_of(node: Any) -> list[int]:
    """The processes that a node's raylet has started, and itself."""
    raylet = node.all_processes["raylet"][0].process.pid
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(raylet)], capture_output=True, text=True, check=False
    )
    return [raylet, *map(int, listed.stdout.split())]


def journals_of(root: Path, pids: list[int]) -> dict[str, int]:
    """How often each journal was committed that one of the processes has."""
    with connected(root) as connection:
        rows = connection.execute("SELECT journal::TEXT, owner, batch FROM journals").fetchall()
    return {journal: batch for journal, owner, batch in rows if int(owner.split()[-1]) in pids}


def asks(root: Path, node: Any) -> bool:
    """Whether an actor of the node has stored something."""
    return any(batch > 3 for batch in journals_of(root, workers_of(node)).values())


def hired(root: Path) -> int:
    """How many actors were hired so far."""
    with connected(root) as connection:
        found = connection.execute("SELECT sum(token) FROM tenures WHERE name LIKE 'asker %'").fetchone()
    return int(found[0])


def test_an_actor_that_was_frozen_replaced_and_wakes_is_refused(
    cluster: Any, victim: Any, project: Make, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "SILENCE", 6.0)
    model.behave(latency=0.1)
    root = project("spread", model=model, engine={**RAY, "workers": 6})
    woken: list[dict[str, int]] = []

    def freeze() -> None:
        raylet, *workers = workers_of(victim)
        for pid in (raylet, *workers):
            os.kill(pid, signal.SIGSTOP)
        before, deadline = hired(root), time.monotonic() + 60
        while hired(root) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        woken.append(journals_of(root, workers))
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        time.sleep(3)
        woken.append(journals_of(root, workers))

    hurting(root, when=lambda: model.asked > 60 and asks(root, victim), hurt=freeze)
    asleep, awake = woken
    assert asleep
    assert awake.items() <= asleep.items(), "nothing of it was stored"
    asked = Counter(request.key for request in model.log())
    assert len(asked) == 2 * TRACES
    assert sum(times - 1 for times in asked.values()) <= 12
    cluster.remove_node(victim, allow_graceful=False)
    count, _, spent = votes_of(root)
    assert count == 2 * TRACES
    assert spent.calls >= model.asked - 12, "what it had paid for before it froze is known"


def with_vllm(root: Path, model: Path, python: Path, **settings: Any) -> None:
    """Nothing; the project's rules ask a model that vLLM runs, and whole answers are scored."""
    known = json.loads((root / "promptlabel.yaml").read_text())
    offline = {"provider": "vllm", "model": str(model), "python": str(python), **settings}
    (root / "promptlabel.yaml").write_text(json.dumps({**known, "models": {"default": offline}}))
    (root / "rules" / "quality" / "asked.yaml").write_text(
        json.dumps({"prompt": "{{ trace.input }} good or bad?"})
    )


def test_engines_of_vllm_are_actors_and_vote_as_one_process_does(
    cluster: Any, project: Make, vllm: str, weights: Path, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={os.environ["PYTHONPATH"]} exec {vllm} "$@"\n')
    python.chmod(0o755)
    inline, spread = project("inline"), project("spread", engine={**RAY, "workers": 2})
    for root in (inline, spread):
        with_vllm(root, weights, python, concurrency=8)
    shutil.copy(inline / ".promptlabel" / "secret", spread / ".promptlabel" / "secret")
    assert voted(inline).votes == voted(spread).votes == TRACES
    assert votes_of(inline)[:2] == votes_of(spread)[:2]


@pytest.mark.vllm
def test_real_vllm_engines_are_actors(cluster: Any, project: Make) -> None:
    folder = Path(__file__).parents[3] / ".vllm"
    root = project("spread", engine={**RAY, "workers": 2})
    engine = {"dtype": "bfloat16", "max_model_len": 1024, "max_num_seqs": 16, "enforce_eager": True}
    with_vllm(root, folder / "smollm2-135m-instruct", folder / "bin" / "python", engine=engine, threads=1)
    report = voted(root)
    assert report.votes == TRACES
    assert report.errors == 0
