"""What came back for a batch into votes: each question's answer once, whatever the file holds twice, late or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

import orjson

from promptlabel.errors import ModelError
from promptlabel.llm.batches import BatchClient, custom_ids, read_reply
from promptlabel.llm.chat import read_usage
from promptlabel.llm.client import CarefulClient
from promptlabel.llm.failures import RETRIED, UnusableAnswerError
from promptlabel.pipeline.voting.asking import Asking, Wanted, render
from promptlabel.pipeline.voting.batch_log import Batch, Slot
from promptlabel.pipeline.voting.writing import VoteWriter
from promptlabel.records import Answer, Attempt, Usage, Vote
from promptlabel.store.contract import Store

_CHUNK: Final = 256

Replies = Mapping[str, bytes | ModelError]

_MISSING: Final = ModelError("the batch holds no answer to it", cause="missing")
_ASKED_AGAIN: Final = RETRIED | {"missing", "expired"}


@dataclass(slots=True)
class Harvest:
    """What a batch brought.

    Attributes:
        undecided: votes to ask for again.
        orphans: answers to what nobody asks any more, since a rule or a model was changed.
        strange: lines that answer nothing in the batch, or for the second time, or cannot be read.
        permanent: a failure that every further question would meet.
    """

    attempts: list[Attempt] = field(default_factory=list)
    undecided: list[Slot] = field(default_factory=list)
    decided: int = 0
    orphans: int = 0
    strange: int = 0
    permanent: ModelError | None = None


class Collector:
    """Reads the replies to one batch.

    Args:
        askings: the rules that ask now, by name.
        attempts: how often a question is asked before its failure is a dead letter.
        now: when.
    """

    def __init__(
        self,
        store: Store,
        writer: VoteWriter,
        batch: Batch,
        client: BatchClient,
        askings: Mapping[str, Asking],
        attempts: int,
        now: datetime,
    ) -> None:
        self.harvest = Harvest()
        self._store = store
        self._writer = writer
        self._batch = batch
        self._client = client
        self._askings = askings
        self._attempts = attempts
        self._now = now
        self._accounted: set[str] = set()
        self._taken: list[tuple[Vote | None, tuple[Attempt, ...]]] = []

    async def collect(self, slots: Iterator[Slot], content: bytes) -> Harvest:
        """The harvest, once all its votes are in line; votes that are stored already are left as they are."""
        replies = self._replies(content)
        asked: set[str] = set()
        while chunk := list(islice(slots, _CHUNK)):
            asked.update(slot.request for slot in chunk)
            items = self._items(chunk)
            stored = self._stored(chunk)
            for slot, item in zip(chunk, items, strict=True):
                if item is not None and item.key in stored:
                    self._accounted.add(slot.request)
                else:
                    self._take(slot, item, replies)
            await self._write()
        self.harvest.strange += sum(custom_id.partition("-")[0] not in asked for custom_id in replies)
        return self.harvest

    def _replies(self, content: bytes) -> Replies:
        """By custom id the first sound body, or else the first failure."""
        found: dict[str, bytes | ModelError] = {}
        for line in content.splitlines():
            reply = read_reply(line, self._now)
            if reply is None:
                self.harvest.strange += bool(line.strip())
                continue
            custom_id, said = reply
            self.harvest.strange += custom_id in found
            if isinstance(found.get(custom_id), bytes | None) and custom_id in found:
                continue
            found[custom_id] = said
        return found

    def _items(self, slots: Sequence[Slot]) -> list[Wanted | None]:
        """The questions that the slots stand for, None where none is asked like that any more."""
        ids = list({slot.trace_id for slot in slots})
        traces = {trace.trace_id: trace for trace in self._store.traces(ids)}
        items: list[Wanted | None] = []
        for slot in slots:
            asking, trace = self._askings.get(slot.rule), traces.get(slot.trace_id)
            item = render(asking, trace, slot.sample) if asking and trace else None
            items.append(item if isinstance(item, Wanted) and item.request == slot.request else None)
        return items

    def _stored(self, slots: Sequence[Slot]) -> set[str]:
        ids = list({slot.trace_id for slot in slots})
        return {
            vote.key
            for rule in {slot.rule for slot in slots}
            for _, vote in self._store.votes(self._batch.task, rule=rule, trace_ids=ids)
        }

    async def _write(self) -> None:
        """Nothing; what was taken of a chunk is with the store, in one piece."""
        taken, self._taken = self._taken, []
        await asyncio.gather(*(self._writer.put(vote, attempts) for vote, attempts in taken))

    def _take(self, slot: Slot, item: Wanted | None, replies: Replies) -> None:
        if item is None:
            self._orphan(slot, replies)
            return
        result = self._result(item, replies)
        attempts = self._attempt(slot, item, result) if self._ids(item)[0] in replies else ()
        again = isinstance(result, ModelError) and (result.cause in _ASKED_AGAIN or result.permanent)
        if isinstance(result, Answer):
            self.harvest.decided += 1
            self._taken.append((item.vote(result), attempts))
        elif again and (result.permanent or slot.tries + 1 < self._attempts):
            self.harvest.permanent = self.harvest.permanent or (result if result.permanent else None)
            self.harvest.undecided.append(slot._replace(tries=slot.tries + 1))
            self._taken.append((None, attempts))
        else:
            self.harvest.decided += 1
            self._taken.append((item.vote(result), attempts))

    def _orphan(self, slot: Slot, replies: Replies) -> None:
        """Nothing; what the answer cost is in the ledger, though nobody asks for it any more."""
        self.harvest.orphans += 1
        body = replies.get(slot.request)
        if isinstance(body, bytes) and slot.request not in self._accounted:
            usage = _usage(body)
            attempt = self._entry(slot, "orphan", usage, self._client.batch_price(usage))
            self._taken.append((None, (attempt,)))

    def _result(self, item: Wanted, replies: Replies) -> Answer | ModelError:
        found = [replies.get(one, _MISSING) for one in self._ids(item)]
        failed = next((one for one in found if isinstance(one, ModelError)), None)
        if failed is not None:
            return failed if failed is not _MISSING else self._known(item)
        try:
            return self._client.read_batch(item.question, [one for one in found if isinstance(one, bytes)])
        except ModelError as error:
            return error

    def _known(self, item: Wanted) -> Answer | ModelError:
        """The answer to an equal request of another batch, where that one is collected."""
        return self._store.answers([item.request]).get(item.request, _MISSING)

    def _ids(self, item: Wanted) -> list[str]:
        return custom_ids(item.request, len(self._client.batch_requests(item.question)))

    def _attempt(self, slot: Slot, item: Wanted, result: Answer | ModelError) -> tuple[Attempt, ...]:
        """The request's entry in the ledger, for the first of the votes that share it."""
        never_asked = isinstance(result, ModelError) and result.cause == "expired"
        if never_asked or slot.request in self._accounted:
            return ()
        usage, usd = self._cost(item, result)
        return (self._entry(slot, self._cause(item, result), usage, usd),)

    def _cost(self, item: Wanted, result: Answer | ModelError) -> tuple[Usage, float]:
        """What the server reports; where its answer does not say, the most that it can have been."""
        if isinstance(result, UnusableAnswerError):
            if result.answer is None:
                return Usage(), self._client.batch_ceiling(item.question)
            return result.answer.usage, result.answer.usd
        return (result.usage, result.usd) if isinstance(result, Answer) else (Usage(), 0.0)

    def _cause(self, item: Wanted, result: Answer | ModelError) -> str:
        if isinstance(result, ModelError):
            return result.cause
        careful = isinstance(self._client, CarefulClient)
        sound = not careful or self._client.accepts(item.question, result)  # type: ignore[attr-defined]
        return "ok" if sound else "malformed"

    def _entry(self, slot: Slot, cause: str, usage: Usage, usd: float) -> Attempt:
        batch = self._batch
        attempt = Attempt(slot.request, batch.task, slot.rule, batch.model, self._now, 0.0, cause, usage, usd)
        self.harvest.attempts.append(attempt)
        self._accounted.add(slot.request)
        return attempt


def _usage(body: bytes) -> Usage:
    return read_usage(orjson.loads(body).get("usage"))
