"""The actor that asks models: part by part, everything that the rules lack there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from promptlabel.llm.in_process import InProcessClient
from promptlabel.llm.jobs import Limits
from promptlabel.llm.ledger import InFlight
from promptlabel.llm.rates import Report, Share
from promptlabel.llm.shared_gate import SharedGate
from promptlabel.llm.treasury import GrantedAccount, Request, Verdict
from promptlabel.pipeline.run_log import shard
from promptlabel.pipeline.voting.asking import all_askings, by_model, interleaved, wanted
from promptlabel.pipeline.voting.coding import names_of
from promptlabel.pipeline.voting.coordinating import Spread
from promptlabel.pipeline.voting.engines import EngineLine
from promptlabel.pipeline.voting.loop import run_on_loop
from promptlabel.pipeline.voting.progress import Progress
from promptlabel.pipeline.voting.sending import Questions, Sent, send_all
from promptlabel.pipeline.voting.writing import CommittedVoteWriter, VoteWriter
from promptlabel.pipeline.workspace import Workspace, open_workspace
from promptlabel.records import Status
from promptlabel.store.contract import Fences, Part, Tenure

_BEAT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one part: what was sent, and votes by status."""

    sent: Sent
    counts: dict[Status, int]


@dataclass(frozen=True, slots=True)
class Post:
    """An actor's name and place among its like, those it reports to, the tenures that let it write, vLLM's engines."""

    name: str
    treasurer: Any
    dispatcher: Any
    tenures: tuple[Tenure, ...]
    place: int
    engines: Mapping[str, Sequence[Any]]

    async def ask_money(self, request: Request) -> Verdict:
        """See `Treasury.ask`."""
        verdict: Verdict = await self.treasurer.ask.remote(self.name, request)
        return verdict

    async def hand_back(self, spent: InFlight) -> None:
        """See `Treasury.hand_back`."""
        await self.treasurer.hand_back.remote(self.name, spent)

    async def exchange(self, model: str, report: Report) -> Share:
        """See `Rates.exchange`."""
        share: Share = await self.dispatcher.exchange.remote(self.name, model, report)
        return share

    def connect(self, questions: Mapping[str, Questions]) -> None:
        """Nothing; the models that vLLM runs are asked through the cluster's engines."""
        import ray

        for name, engines in self.engines.items():
            if name in questions:
                line = EngineLine(ray, engines, self.place)
                cast("InProcessClient", questions[name].client).through(line)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """A context in which the dispatcher hears from this actor."""
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(over,), daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()
            self.dispatcher.leave.remote(self.name)

    def _beat(self, over: threading.Event) -> None:
        while not over.wait(_BEAT):
            self.dispatcher.beat.remote(self.name)


class Asker:
    """Asks; what it writes is refused once it was replaced."""

    def __init__(self, spread: Spread, post: Post) -> None:
        self._spread = spread
        self._post = post

    def ask(self, part: Part) -> Asked:
        """What came of the part; done again after a death, it asks only for what is still missing."""
        spread = self._spread
        with (
            shard(spread.run, f"{part.number + 1}/{part.of}", rules=names_of(spread.rules)) as told,
            self._post.heard(),
            open_workspace(spread.root, spread.tasks, since=spread.since) as workspace,
            cast("Fences", workspace.store).under(self._post.tenures),
        ):
            writer = CommittedVoteWriter(workspace.store, Progress())
            questions = _questions(workspace, spread, part)
            self._post.connect(questions)
            sent = run_on_loop(_send(workspace, questions, writer, self._post))
            told.update(counts=writer.counts, calls=sent.calls, usd=sent.usd, stopped=sent.stopped)
            return Asked(sent, writer.counts)


def _questions(workspace: Workspace, spread: Spread, part: Part) -> dict[str, Questions]:
    asked = [asking for asking in all_askings(workspace, ()) if asking.rule in spread.rules]
    return {
        name: Questions(
            group[0].client,
            interleaved([wanted(workspace, asking, None, part) for asking in group]),
        )
        for name, group in by_model(asked).items()
    }


async def _send(
    workspace: Workspace, questions: dict[str, Questions], writer: VoteWriter, post: Post
) -> Sent:
    usd, calls = await post.treasurer.limits.remote()
    account = GrantedAccount(post.ask_money, usd=usd, calls=calls)
    models = workspace.project.settings.models
    gates = {name: SharedGate(partial(post.exchange, name), Limits.of(models[name])) for name in questions}
    async with AsyncExitStack() as kept:
        for gate in gates.values():
            await kept.enter_async_context(gate.kept())
        try:
            return await send_all(workspace, questions, writer, account, gates)
        finally:
            await post.hand_back(account.spent)
