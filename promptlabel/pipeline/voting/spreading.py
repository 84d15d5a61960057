"""Asks models from the nodes of a Ray cluster: our own sender in every actor, one budget, rates divided live among them.

An answer is in the shared store before its worker sends anything else, so that a node which dies takes no more than
what it had in flight with it. An actor that falls silent is replaced, and refused should it wake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import uuid4

from promptlabel.llm.jobs import Limits
from promptlabel.pipeline.voting.asker import Asked, Asker, Post
from promptlabel.pipeline.voting.asking import Asking
from promptlabel.pipeline.voting.coordinating import Dispatcher, Spread, Treasurer
from promptlabel.pipeline.voting.engines import hire_engines
from promptlabel.pipeline.voting.executors import Given, once_more, ray_of, result_of
from promptlabel.pipeline.voting.sending import Sent
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.pipeline.workspace import Workspace
from promptlabel.store.contract import Fences, Part

PARTS_AN_ACTOR: Final = 4
"""Parts of the traces for each actor: an actor that is slow, or dies, holds up no more than one."""
SILENCE: Final = 60.0
"""Seconds without a sign of life after which an actor is replaced, as for any process that holds a tenure."""
_LOOK: Final = 1.0
"""Seconds between two looks at who is silent."""


def send_spread(workspace: Workspace, asked: Sequence[Asking], writer: VoteWriter) -> Sent:
    """What all actors sent; every vote is in the shared store.

    Raises:
        PromptlabelError: if an actor's node kept dying; what was answered is stored.
    """
    engine = workspace.project.settings.engine
    spread = Spread(
        workspace.project.root.resolve(),
        tuple(task.name for task in workspace.tasks),
        tuple(asking.rule for asking in asked),
        workspace.since,
    )
    models = workspace.project.settings.models
    limits = {asking.rule.model: Limits.of(models[asking.rule.model]) for asking in asked}
    with ray_of(engine) as ray:
        nodes = int(ray.cluster_resources().get("CPU", 1))
        actors = min(engine.workers or nodes, max(some.concurrency for some in limits.values()))
        engines = hire_engines(ray, asked, engine.workers)
        crew = _Crew(_Staff(ray, spread, limits, cast("Fences", workspace.store), engines), actors)
        sent = Sent()
        for found in crew.work():
            sent = sent.plus(found.sent)
            writer.written_elsewhere(found.counts)
        crew.close()
        return sent


@dataclass(frozen=True, slots=True)
class _Hand:
    """An actor, its name, and its place among the actors, which whoever replaces it takes over."""

    place: int
    name: str
    actor: Any


class _Staff:
    """Hires actors, each under a tenure of its place, and dismisses those that are replaced."""

    def __init__(
        self,
        ray: Any,
        spread: Spread,
        limits: dict[str, Limits],
        store: Fences,
        engines: dict[str, list[Any]],
    ) -> None:
        self.ray = ray
        self._engines = engines
        self._spread = spread
        self._store = store
        strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        here = strategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._treasurer = ray.remote(num_cpus=0, scheduling_strategy=here)(Treasurer).remote(spread)
        self._dispatcher = ray.remote(num_cpus=0, scheduling_strategy=here)(Dispatcher).remote(
            limits, SILENCE
        )
        # An actor waits for models, it takes no processor; Ray spreads actors over the nodes that there are.
        self._asker = ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(Asker)

    def hire(self, place: int) -> _Hand:
        """An actor for the place; what its predecessor writes is refused from now on."""
        name = f"asker {place} ({uuid4().hex[:8]})"
        own = self._store.fence(f"asker {place}")
        above = [tenure for tenure in self._store.tenures if not tenure.name.startswith("asker ")]
        post = Post(name, self._treasurer, self._dispatcher, (*above, own), place, self._engines)
        return _Hand(place, name, self._asker.remote(self._spread, post))

    def replace(self, hand: _Hand) -> _Hand:
        """Another actor for its place; the one before, should it live, writes, sends and spends nothing more."""
        another = self.hire(hand.place)
        for coordinator in (self._treasurer, self._dispatcher):
            result_of(self.ray, coordinator.dismiss.remote(hand.name))
        self.ray.kill(hand.actor)
        return another

    def silent(self) -> list[str]:
        """The names of actors that were silent for too long."""
        names: list[str] = result_of(self.ray, self._dispatcher.silent.remote())
        return names

    def close(self) -> None:
        """Nothing; the budget is settled, and the engines have ended."""
        result_of(self.ray, self._treasurer.close.remote())
        for engine in (engine for engines in self._engines.values() for engine in engines):
            self.ray.kill(engine)


class _Crew:
    """The actors, and which part each is at; one that dies or falls silent is replaced, its part given to another."""

    def __init__(self, staff: _Staff, actors: int) -> None:
        self._staff = staff
        self._idle = [staff.hire(place) for place in range(actors)]
        total = PARTS_AN_ACTOR * actors
        self._waiting = deque(Given(Part(number, total)) for number in range(total))
        self._running: dict[Any, tuple[_Hand, Given[Part]]] = {}

    def work(self) -> Iterator[Asked]:
        """What came of each part; after one that was stopped early none is begun.

        Raises:
            PromptlabelError: if actors keep dying over one part; and whatever one raised.
        """
        while True:
            while self._idle and self._waiting:
                hand, given = self._idle.pop(), self._waiting.popleft()
                self._running[hand.actor.ask.remote(given.item)] = hand, given
            if not self._running:
                return
            done, _ = self._staff.ray.wait(list(self._running), timeout=_LOOK)
            for reference in done:
                yield from self._done(reference)
            if not done:
                self._replace_silent()

    def close(self) -> None:
        """Nothing; the budget is settled."""
        self._staff.close()

    def _done(self, reference: Any) -> Iterator[Asked]:
        ray = self._staff.ray
        hand, given = self._running.pop(reference)
        try:
            found: Asked = ray.get(reference)
        except ray.exceptions.RayTaskError:
            result_of(ray, reference)
        except ray.exceptions.RayActorError:
            self._replace(hand, given)
        else:
            self._idle.append(hand)
            if found.sent.stopped:
                self._waiting.clear()
            yield found

    def _replace_silent(self) -> None:
        silent = set(self._staff.silent())
        for reference, (hand, given) in tuple(self._running.items()):
            if hand.name in silent:
                del self._running[reference]
                self._replace(hand, given)

    def _replace(self, hand: _Hand, given: Given[Part]) -> None:
        self._waiting.append(once_more(given))
        self._idle.append(self._staff.replace(hand))
