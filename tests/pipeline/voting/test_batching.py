"""Batch files against a server with every fault: one vote a key, one payment a question, only the rest again."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import ModuleType

import pytest

from promptlabel.errors import InputError
from promptlabel.pipeline.voting.batch_log import BatchLog
from promptlabel.pipeline.voting.batching import Batching
from promptlabel.pipeline.voting.plan import plan
from promptlabel.pipeline.voting.vote import VoteReport, retry, vote
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Trace

pytestmark = pytest.mark.filterwarnings(
    "ignore"
)  # LiteLLM's own: it makes an OpenAI client a call and closes none

TRACES = 120
PRICE = {"input": 1000.0, "output": 1000.0}


@pytest.fixture(scope="module")
def mock_batches() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "mock_batches.py"
    spec = importlib.util.spec_from_file_location("mock_batches", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mock_batches"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _what_litellm_left_open() -> Iterator[None]:
    yield
    gc.collect()


@contextmanager
def running(module: ModuleType, **faults) -> Iterator:
    """The mock server, in a thread of its own."""
    ready, done, found = Event(), Event(), []

    async def serve():
        async with module.serving(module.Faults(**faults)) as server:
            found.append(server)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        done.set()
        thread.join(20)


@contextmanager
def project(root: Path, url: str, *, budget: dict | None = None, **model) -> Iterator[Workspace]:
    settings = {"model": "hosted_vllm/mock", "api_base": url, "price": PRICE, **model}
    (root / "promptlabel.yaml").write_text(
        json.dumps({"models": {"default": settings}, "budget": budget or {}})
    )
    folder = root / "rules" / "tone"
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "task.yaml").write_text("task: tone\nlabels: {kind: a, rude: b}\n")
        write_rule(root, "first", "one")
    with open_workspace(root) as workspace:
        if not workspace.store.count_traces():
            workspace.store.add_traces(
                Trace(f"t{number}", input=f"text {number}", metadata={"n": number})
                for number in range(TRACES)
            )
        yield workspace


def write_rule(root: Path, rule: str, word: str) -> None:
    prompt = f"key={{{{ trace.metadata.n }}}}-{word} {{{{ trace.input }}}}"
    (root / "rules" / "tone" / f"{rule}.yaml").write_text(json.dumps({"prompt": prompt}))


def batch(workspace: Workspace, told: list[str] | None = None, **options) -> VoteReport:
    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    tell = (told if told is not None else []).append
    return vote(workspace, batching=Batching(submit=True, sleep=no_wait, tell=tell, **options))


def statuses(workspace: Workspace) -> dict[str, int]:
    counts = workspace.store.count_votes("tone")
    return {status: number for each in counts.values() for status, number in each.items()}


def test_a_batch_votes_like_a_vote_in_line(tmp_path, mock_batches):
    with running(mock_batches) as server, project(tmp_path, server.url) as workspace:
        report = batch(workspace)
    assert (report.votes, report.calls, report.stopped) == (TRACES, TRACES, None)
    assert report.tokens == {"input": 100 * TRACES, "output": 5 * TRACES}
    assert len(server.batches) == 1
    assert max(server.paid.values()) == 1


FAULTS = ("missing", "duplicate", "unknown", "error_500", "expired", "torn")


def test_every_fault_of_a_line_costs_that_line_alone_and_only_the_rest_is_asked_again(tmp_path, mock_batches):
    rates = dict.fromkeys(FAULTS, 0.08)
    with (
        running(mock_batches, rates=rates, late_files=2) as server,
        project(tmp_path, server.url) as workspace,
    ):
        report = batch(workspace)
        again = vote(workspace)
        assert statuses(workspace) == {"vote": TRACES}
        assert workspace.store.spent().usd == pytest.approx(report.usd)
    assert (report.votes, report.stopped, report.dead_letters) == (TRACES, None, 0)
    assert again.calls == 0
    sizes = [len(server.files[batch.input_file].splitlines()) for batch in server.batches.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == TRACES > sizes[1]
    unread = sum(server.paid.values()) - TRACES
    assert unread <= 0.35 * TRACES  # missing and torn lines were paid for, and nothing else


def test_what_will_never_be_answered_is_a_dead_letter_with_its_cause(tmp_path, mock_batches):
    rates = {"filtered": 0.2, "error_400": 0.2, "malformed": 0.2}
    with running(mock_batches, rates=rates) as server, project(tmp_path, server.url) as workspace:
        report = batch(workspace)
        assert report.causes.keys() == {"content_filter", "bad_request", "unknown_answer"}
        assert report.votes + report.dead_letters == TRACES
        server.faults.rates = {}
        assert retry(workspace, batching=Batching(submit=True, sleep=_soon)).dead_letters == 0


async def _soon(seconds: float) -> None:
    await asyncio.sleep(0)


def test_a_line_that_never_comes_ends_as_a_dead_letter_and_not_in_a_circle(tmp_path, mock_batches):
    with (
        running(mock_batches, rates={"missing": 1.0}) as server,
        project(tmp_path, server.url, attempts=3) as workspace,
    ):
        report = batch(workspace)
    assert report.causes == {"missing": TRACES}
    assert len(server.batches) == 3


def test_detached_a_batch_is_collected_by_a_later_vote_and_not_asked_in_line(tmp_path, mock_batches):
    with running(mock_batches, seconds=3600) as server, project(tmp_path, server.url) as workspace:
        first = batch(workspace, wait=False)
        assert (first.votes, first.stopped, first.exit_code) == (0, "batch", 1)
        meanwhile = vote(workspace)
        assert (meanwhile.votes, meanwhile.calls, meanwhile.stopped) == (0, 0, "batch")
        server.faults.seconds = 0
        last = vote(workspace)
        assert (last.votes, last.calls, last.stopped) == (TRACES, TRACES, None)
        assert vote(workspace).calls == 0
    assert len(server.batches) == 1


def test_what_a_detached_batch_left_open_is_asked_once_more_and_counted_once(tmp_path, mock_batches):
    with (
        running(mock_batches, seconds=3600, rates={"expired": 0.3}) as server,
        project(tmp_path, server.url) as workspace,
    ):
        batch(workspace, wait=False)
        server.faults.seconds = 0
        report = batch(workspace)
        assert statuses(workspace) == {"vote": TRACES}
    assert (report.votes, report.calls, report.cached) == (TRACES, TRACES, 0)
    assert max(server.paid.values()) == 1


def test_new_traces_are_asked_while_a_batch_is_out_and_its_own_are_not(tmp_path, mock_batches):
    with running(mock_batches, seconds=3600) as server, project(tmp_path, server.url) as workspace:
        batch(workspace, wait=False)
        workspace.store.add_traces([Trace("new", input="new", metadata={"n": "new"})])
        batch(workspace, wait=False)
        server.faults.seconds = 0
        assert batch(workspace).votes == TRACES + 1
    assert [len(server.files[b.input_file].splitlines()) for b in server.batches.values()] == [TRACES, 1]


def test_a_creation_whose_answer_is_lost_is_found_and_not_submitted_again(tmp_path, mock_batches):
    with running(mock_batches, lost_creations=1) as server, project(tmp_path, server.url) as workspace:
        report = batch(workspace)
    assert (report.votes, report.stopped) == (TRACES, None)
    assert len(server.batches) == 1


def test_a_server_that_is_busy_is_looked_at_again(tmp_path, mock_batches):
    with running(mock_batches, seconds=0.3) as server, project(tmp_path, server.url) as workspace:
        batch(workspace, wait=False)
        server.faults.failed_requests = 5
        told: list[str] = []
        assert batch(workspace, told).votes == TRACES
    assert any("cannot be seen now" in line for line in told)
    assert len(server.batches) == 1


def test_equal_requests_are_one_line(tmp_path, mock_batches):
    with running(mock_batches) as server, project(tmp_path, server.url) as workspace:
        write_rule(tmp_path, "first", "one")
        (tmp_path / "rules/tone/first.yaml").write_text(
            json.dumps({"prompt": "key={{ trace.metadata.n % 10 }}"})
        )
    with running(mock_batches) as server, project(tmp_path, server.url, batch_size=4) as workspace:
        report = batch(workspace)
        assert statuses(workspace) == {"vote": TRACES}
    assert (report.calls, sum(server.paid.values())) == (10, 10)
    assert len(server.batches) == 3


@pytest.mark.parametrize("share", [0.3, 0.75, 1.0])
def test_the_budget_holds_for_whole_batches_and_the_rest_follows_what_is_settled(
    tmp_path, mock_batches, share
):
    cost = TRACES * 105 * PRICE["input"] / 1e6
    with (
        running(mock_batches) as server,
        project(tmp_path, server.url, budget={"usd": share * cost * 1.0001}) as workspace,
    ):
        report = batch(workspace)
        assert workspace.store.spent().usd <= share * cost * 1.0001
    assert report.usd == pytest.approx(sum(server.paid.values()) * 105e-3)
    assert report.stopped == ("budget" if share < 1 or report.votes < TRACES else None)
    assert report.votes >= (share * TRACES) - 5


def test_what_is_set_aside_for_a_batch_is_not_there_for_others(tmp_path, mock_batches):
    with (
        running(mock_batches, seconds=3600) as server,
        project(tmp_path, server.url, budget={"calls": TRACES}) as workspace,
    ):
        batch(workspace, wait=False)
        workspace.store.add_traces([Trace("new", input="new", metadata={"n": "new"})])
        report = vote(workspace)
        assert (report.calls, report.stopped) == (0, "budget")


def test_the_discount_is_in_the_price_and_in_the_plan(tmp_path, mock_batches):
    with running(mock_batches) as server, project(tmp_path, server.url, batch_discount=0.5) as workspace:
        planned, whole = plan(workspace, batch=True), plan(workspace)
        assert planned.usd == pytest.approx(whole.usd / 2)
        report = batch(workspace)
    assert report.usd == pytest.approx(TRACES * 105e-3 / 2)


def test_a_rule_that_was_edited_meanwhile_pays_its_old_answers_and_asks_anew(tmp_path, mock_batches):
    with running(mock_batches, seconds=3600) as server:
        with project(tmp_path, server.url) as workspace:
            batch(workspace, wait=False)
        write_rule(tmp_path, "first", "other")
        server.faults.seconds = 0
        with project(tmp_path, server.url) as workspace:
            told: list[str] = []
            report = batch(workspace, told)
            assert statuses(workspace) == {"vote": TRACES}
            assert workspace.store.spent().calls == 2 * TRACES
    assert report.stopped is None
    assert any(f"{TRACES:,} for rules that have changed since" in line for line in told)


def test_a_rule_that_is_not_named_does_not_lose_its_batch(tmp_path, mock_batches):
    with running(mock_batches, seconds=3600) as server:
        with project(tmp_path, server.url) as workspace:
            write_rule(tmp_path, "second", "two")
            batch(workspace, wait=False)
        server.faults.seconds = 0
        with project(tmp_path, server.url) as workspace:
            vote(workspace, rules=["second"])
            assert workspace.store.count_votes("tone")["first", "default"] == {"vote": TRACES}


def test_too_many_tokens_in_line_wait_for_the_batches_before_them(tmp_path, mock_batches):
    with (
        running(mock_batches, seconds=0.3, refused=1) as server,
        project(tmp_path, server.url, batch_size=50) as workspace,
    ):
        report = batch(workspace)
    assert (report.votes, report.stopped) == (TRACES, None)
    assert len(server.batches) == 4


def test_a_batch_that_is_refused_says_why_and_can_be_sent_again(tmp_path, mock_batches):
    with (
        running(mock_batches, refused=1, refusal_code="invalid_file") as server,
        project(tmp_path, server.url) as workspace,
    ):
        report = batch(workspace)
        assert report.stopped == "batch"
        assert "invalid_file" in report.message
        assert batch(workspace).votes == TRACES


def test_a_provider_without_batch_files_is_a_fault_before_anything_is_sent(tmp_path):
    with (
        project(tmp_path, "http://127.0.0.1:9/v1", model="mistral/small") as workspace,
        pytest.raises(InputError, match=r"models\.default: its provider takes no batch files"),
    ):
        batch(workspace)


def test_models_that_need_no_batch_are_asked_in_line(tmp_path, mock_batches):
    (tmp_path / "script.yaml").write_text("- {answer: kind}\n")
    with project(tmp_path, "x") as workspace:
        pass
    (tmp_path / "promptlabel.yaml").write_text(
        json.dumps({"models": {"default": {"provider": "scripted", "model": "script.yaml"}}})
    )
    with open_workspace(tmp_path) as workspace:
        assert batch(workspace).votes == TRACES
        assert not BatchLog.of(workspace.project).folder.exists()


@pytest.mark.parametrize("decode", ["logprobs", "json"])
def test_vllm_votes_alike_in_process_and_by_run_batch(tmp_path, vllm, weights, decode):
    found = []
    for submit in (False, True):
        root = tmp_path / f"submit-{submit}"
        root.mkdir()
        answers = {"good": "kind", "bad": "rude"}
        prompt = "It{% if trace.metadata.n % 2 %} hums{% else %} works{% endif %}"
        rule = {"prompt": prompt, "decode": decode, "answers": answers}
        with project(root, "x"):
            (root / "rules/tone/first.yaml").write_text(json.dumps(rule))
        model = {"provider": "vllm", "model": str(weights), "python": vllm}
        (root / "promptlabel.yaml").write_text(json.dumps({"models": {"default": model}}))
        with open_workspace(root) as workspace:
            report = batch(workspace) if submit else vote(workspace)
            assert (report.votes, report.calls, report.stopped) == (TRACES, 2, None)
            votes = [vote for _, vote in workspace.store.votes("tone")]
            found.append([(vote.trace_id, vote.label, vote.confidence) for vote in votes])
    assert found[0] == found[1]


@pytest.mark.vllm
@pytest.mark.slow
def test_the_real_vllm_votes_by_run_batch(tmp_path):
    real = Path(__file__).parents[3] / ".vllm"
    engine = {"dtype": "bfloat16", "max_model_len": 2048, "max_num_seqs": 32, "enforce_eager": True}
    model = {"provider": "vllm", "model": str(real / "smollm2-135m-instruct"), "threads": 1}
    model |= {"python": str(real / "bin/python"), "engine": engine}
    with project(tmp_path, "x"):
        (tmp_path / "rules/tone/first.yaml").write_text(
            json.dumps({"prompt": "{{ trace.input }}", "decode": "logprobs"})
        )
    (tmp_path / "promptlabel.yaml").write_text(json.dumps({"models": {"default": model}}))
    with open_workspace(tmp_path) as workspace:
        report = vote(workspace, limit=8, batching=Batching(submit=True))
        votes = [vote for _, vote in workspace.store.votes("tone")]
    assert (report.votes, report.calls, report.stopped) == (8, 8, None)
    assert all(vote.distribution and vote.raw.outside is not None for vote in votes)
