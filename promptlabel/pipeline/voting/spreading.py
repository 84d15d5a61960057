"""Asks models from the nodes of a Ray cluster: our own sender in every actor, one budget, rates divided among them.

An answer is in the shared store before its worker sends anything else, so that a node which dies takes no more than
what it had in flight with it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from promptlabel.llm.ledger import InFlight
from promptlabel.llm.treasury import GrantedAccount, Request, Treasury, Verdict
from promptlabel.pipeline.run_log import Run, shard, this_run
from promptlabel.pipeline.voting.accounts import open_account, remember_in_flight
from promptlabel.pipeline.voting.asking import Asking, all_askings, by_model, interleaved, wanted
from promptlabel.pipeline.voting.coding import names_of
from promptlabel.pipeline.voting.executors import Given, once_more, ray_of, result_of
from promptlabel.pipeline.voting.loop import run_on_loop
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.sending import Questions, Sent, send_all
from promptlabel.pipeline.voting.writing import CommittedVoteWriter, VoteWriter
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import RegisteredRule, Status
from promptlabel.settings import ModelSettings
from promptlabel.store.contract import Part

PARTS_AN_ACTOR: Final = 4
"""Parts of the traces for each actor: an actor that is slow, or dies, holds up no more than one."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What an actor needs to know: the project, the rules' versions, and how many share the models' rates."""

    root: Path
    tasks: tuple[str, ...]
    rules: tuple[RegisteredRule, ...]
    actors: int
    since: datetime | None = None
    run: Run = field(default_factory=this_run)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one part: what was sent, and votes by status."""

    sent: Sent
    counts: dict[Status, int]


def send_spread(workspace: Workspace, asked: Sequence[Asking], writer: VoteWriter) -> Sent:
    """What all actors sent; every vote is in the shared store.

    Raises:
        PromptlabelError: if an actor's node kept dying; what was answered is stored.
    """
    engine = workspace.project.settings.engine
    rules = tuple(asking.rule for asking in asked)
    with ray_of(engine) as ray:
        nodes = int(ray.cluster_resources().get("CPU", 1))
        actors = min(engine.workers or nodes, *(_most(asking, workspace) for asking in asked))
        spread = Spread(
            workspace.project.root.resolve(),
            tuple(task.name for task in workspace.tasks),
            rules,
            actors,
            workspace.since,
        )
        return _spread(ray, spread, writer)


def _spread(ray: Any, spread: Spread, writer: VoteWriter) -> Sent:
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    here = strategy(ray.get_runtime_context().get_node_id(), soft=False)
    treasurer = ray.remote(num_cpus=0, scheduling_strategy=here)(Treasurer).remote(spread)
    crew = _Crew(ray, spread, treasurer)
    sent = Sent()
    for found in crew.work():
        sent = sent.plus(found.sent)
        writer.written_elsewhere(found.counts)
    result_of(ray, treasurer.close.remote())
    return sent


class _Crew:
    """The actors, and which part each is at; one that dies is replaced, and its part given to another."""

    def __init__(self, ray: Any, spread: Spread, treasurer: Any) -> None:
        self._ray = ray
        # An actor waits for models, it takes no processor; Ray spreads actors over the nodes that there are.
        actor = ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(Asker)
        self._hire = partial(actor.remote, spread, treasurer)
        self._idle = [self._hire() for _ in range(spread.actors)]
        total = PARTS_AN_ACTOR * spread.actors
        self._waiting = deque(Given(Part(number, total)) for number in range(total))
        self._running: dict[Any, tuple[Any, Given[Part]]] = {}

    def work(self) -> Iterator[Asked]:
        """What came of each part; after one that was stopped early none is begun.

        Raises:
            PromptlabelError: if actors keep dying over one part; and whatever one raised.
        """
        while True:
            while self._idle and self._waiting:
                asker, given = self._idle.pop(), self._waiting.popleft()
                self._running[asker.ask.remote(given.item)] = asker, given
            if not self._running:
                return
            (done, *_), _ = self._ray.wait(list(self._running))
            yield from self._done(done)

    def _done(self, reference: Any) -> Iterator[Asked]:
        asker, given = self._running.pop(reference)
        try:
            found: Asked = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            result_of(self._ray, reference)
        except self._ray.exceptions.RayActorError:
            self._ray.kill(asker)
            self._waiting.append(once_more(given))
            self._idle.append(self._hire())
        else:
            self._idle.append(asker)
            if found.sent.stopped:
                self._waiting.clear()
            yield found


def _most(asking: Asking, workspace: Workspace) -> int:
    """How many actors can share the model's rates without passing them."""
    settings = workspace.project.settings.models[asking.rule.model]
    return min(settings.concurrency, settings.requests_per_minute or settings.concurrency)


class Treasurer:
    """The actor that holds the budget."""

    def __init__(self, spread: Spread) -> None:
        self._opened = open_workspace(spread.root, spread.tasks)
        self._workspace = self._opened.__enter__()
        self._account = open_account(self._workspace)
        self._treasury = Treasury(self._account, lambda most: remember_in_flight(self._workspace.store, most))

    def limits(self) -> tuple[bool, bool]:
        """Whether dollars and calls are limited."""
        return self._account.limit_usd is not None, self._account.limit_calls is not None

    def ask(self, sender: str, request: Request) -> Verdict:
        """See `Treasury.ask`."""
        return self._treasury.ask(sender, request)

    def hand_back(self, sender: str, spent: InFlight) -> None:
        """See `Treasury.hand_back`."""
        self._treasury.hand_back(sender, spent)

    def close(self) -> None:
        """Nothing; whatever a dead actor was granted stays booked as in flight."""
        if not self._treasury.purses:
            remember_in_flight(self._workspace.store, None)
        self._opened.__exit__(None, None, None)


class Asker:
    """The actor that asks: part by part, everything that the rules lack there."""

    def __init__(self, spread: Spread, treasurer: Any) -> None:
        self._spread = spread
        self._treasurer = treasurer

    def ask(self, part: Part) -> Asked:
        """What came of the part; done again after a death, it asks only for what is still missing."""
        with (
            shard(
                self._spread.run, f"{part.number + 1}/{part.of}", rules=names_of(self._spread.rules)
            ) as told,
            open_workspace(self._spread.root, self._spread.tasks, since=self._spread.since) as whole,
        ):
            workspace = _with_a_share(whole, self._spread.actors)
            writer = CommittedVoteWriter(workspace.store, Progress())
            sent = run_on_loop(_send(workspace, self._spread.rules, part, writer, self._treasurer))
            told.update(counts=writer.counts, calls=sent.calls, usd=sent.usd, stopped=sent.stopped)
            return Asked(sent, writer.counts)


async def _send(
    workspace: Workspace,
    rules: Sequence[RegisteredRule],
    part: Part,
    writer: VoteWriter,
    treasurer: Any,
) -> Sent:
    asked = [asking for asking in all_askings(workspace, ()) if asking.rule in rules]
    questions = {
        name: Questions(
            group[0].client,
            interleaved([wanted(workspace, asking, None, part) for asking in group]),
        )
        for name, group in by_model(asked).items()
    }
    sender = f"{os.uname().nodename} {os.getpid()} {uuid4().hex}"

    async def ask(request: Request) -> Verdict:
        verdict: Verdict = await treasurer.ask.remote(sender, request)
        return verdict

    usd, calls = await treasurer.limits.remote()
    account = GrantedAccount(ask, usd=usd, calls=calls)
    try:
        return await send_all(workspace, questions, writer, account)
    finally:
        await treasurer.hand_back.remote(sender, account.spent)


def _with_a_share(workspace: Workspace, actors: int) -> Workspace:
    """The workspace as one of so many actors sees it: its models' rates are a share of those configured."""
    settings = workspace.project.settings
    models = {name: _share(model, actors) for name, model in settings.models.items()}
    project = replace(workspace.project, settings=settings.model_copy(update={"models": models}))
    return replace(workspace, project=project)


def _share(model: ModelSettings, actors: int) -> ModelSettings:
    rates = ("concurrency", "requests_per_minute", "tokens_per_minute")
    known = {name: getattr(model, name) for name in rates}
    return model.model_copy(
        update={name: max(1, rate // actors) for name, rate in known.items() if rate is not None}
    )
