"""A project with a real store, a queue to review, and a client that speaks to the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp

from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Answer, Message, Pick, RegisteredRule, Trace, Vote, digest
from promptlabel.rules.loading import Task
from promptlabel.rules.spec import TaskSpec
from promptlabel.settings import Project, Settings
from promptlabel.store.contract import PosteriorTable
from promptlabel.store.opening import open_store

HERE = "http://127.0.0.1:8711"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Client:
    """One browser: keeps its cookies, and sends requests to the application without a network."""

    def __init__(self, app: ASGIApp) -> None:
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HERE)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return asyncio.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@pytest.fixture
def browser() -> Callable[[ASGIApp], Client]:
    return Client


class Clock:
    """Noon, until somebody sets it."""

    def __init__(self) -> None:
        self.now = START.replace(hour=12)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session", name="make_workspace")
def _make_workspace() -> Callable[..., Workspace]:
    return make_workspace


def make_workspace(root: Path, traces: list[Trace], tasks: dict[str, dict[str, str]]) -> Workspace:
    """A workspace in which every trace is queued for every task, and has a vote and a posterior."""
    project = Project(root, Settings())
    store = open_store(project)
    store.add_traces(traces)
    specs = [
        TaskSpec(task=name, labels=labels, guidelines=f"How to judge {name}.")
        for name, labels in tasks.items()
    ]
    for spec in specs:
        _fill(Workspace(project, store), spec.task, list(spec.labels), traces)
    return Workspace(project, store, tuple(Task(spec, (), ()) for spec in specs))


def _fill(workspace: Workspace, task: str, labels: list[str], traces: list[Trace]) -> None:
    store = workspace.store
    rule = RegisteredRule(task, "secret_rule_name", "prompt", "secret-model", digest(task), digest("model"))
    store.register_rules(task, [rule])
    store.add_votes([_vote(rule, trace, labels[0]) for trace in traces])
    probs = np.tile(
        [0.987654321] + [(1 - 0.987654321) / (len(labels) - 1)] * (len(labels) - 1), (len(traces), 1)
    )
    ids = tuple(trace.trace_id for trace in traces)
    store.save_posteriors(PosteriorTable(task, tuple(labels), ids, probs, START, "em", {}))
    lanes = ["audit", "uncertain"]
    store.save_queue(
        task,
        [
            Pick(trace_id, task, lanes[i % 2], 0.987654321, 0.25, "secret reason", {"margin": 0.987654321})
            for i, trace_id in enumerate(ids)
        ],
    )


def _vote(rule: RegisteredRule, trace: Trace, label: str) -> Vote:
    return Vote(
        key=digest([rule.task, trace.trace_id]),
        trace_id=trace.trace_id,
        task=rule.task,
        rule_hash=rule.rule_hash,
        model_hash=rule.model_hash,
        status="vote",
        label=label,
        confidence=0.987654321,
        request=digest(["request", rule.task, trace.trace_id]),
        raw=Answer("secret answer"),
        rationale="secret rationale",
    )


def chat(number: int) -> Trace:
    at = START + timedelta(minutes=number)
    turns = (Message("user", f"Where is parcel {number}?", at), Message("assistant", "It is on its way.", at))
    return Trace(f"chat-{number:03}", at, messages=turns, category="delivery", metadata={"channel": "web"})


@pytest.fixture(scope="session")
def sample() -> list[Trace]:
    """Forty conversations."""
    return [chat(number) for number in range(40)]


@pytest.fixture
def workspace(tmp_path: Path, sample: list[Trace]) -> Iterator[Workspace]:
    made = make_workspace(
        tmp_path,
        sample,
        {
            "quality": {"good": "It helped.", "bad": "It did not."},
            "tone": {"warm": "", "neutral": "", "cold": ""},
        },
    )
    with made.store:
        yield made
