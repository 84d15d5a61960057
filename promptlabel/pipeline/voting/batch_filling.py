"""Questions into batch files: equal requests once, no file too long, none beyond the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from promptlabel.llm.batches import BatchClient, custom_ids, request_line
from promptlabel.llm.client import Request
from promptlabel.llm.ledger import Account
from promptlabel.pipeline.voting.asking import Wanted
from promptlabel.pipeline.voting.batch_log import Batch, BatchLog, Slot

_MOST_BYTES: Final = 190_000_000
"""OpenAI takes files of up to 200 MB."""


@dataclass(slots=True)
class _Page:
    """A batch that is being written."""

    name: str
    task: str
    path: str
    file: IO[bytes]
    slots: list[Slot] = field(default_factory=list)
    lines: int = 0
    size: int = 0
    calls: int = 0
    usd: float = 0.0

    def write(self, lines: list[bytes], usd: float) -> None:
        self.file.writelines(lines)
        self.lines += len(lines)
        self.size += sum(map(len, lines))
        self.calls += 1
        self.usd += usd


class BatchFiller:
    """Writes the batches of one model.

    Args:
        model: the model's name in the project.
        account: what may be spent; what a batch sets aside stays so until the batch is collected.
        outstanding: digests of requests that are in an open batch; grows.
        size: the most requests of a file.
        name: makes names that no other batch anywhere has.

    Attributes:
        waiting: votes that need the answer of a request in another batch, and have no batch of their own.
    """

    def __init__(
        self,
        model: str,
        client: BatchClient,
        log: BatchLog,
        account: Account,
        outstanding: set[str],
        size: int,
        name: Callable[[], str],
    ) -> None:
        self.waiting: list[tuple[str, Slot]] = []
        self._model = model
        self._client = client
        self._log = log
        self._account = account
        self._outstanding = outstanding
        self._size = size
        self._name = name
        self._pages: dict[tuple[str, str], _Page] = {}

    def add(self, item: Wanted, tries: int) -> bool:
        """Whether the question is in a file now; if not, the budget does not allow it.

        Raises:
            ModelError: the question cannot be asked in a file.
        """
        requests = self._client.batch_requests(item.question)
        page = self._page(item.asking.rule.task, requests[0].path)
        if item.request not in self._outstanding:
            bound = self._client.batch_ceiling(item.question)
            lines = _lines(item.request, requests)
            if self._account.try_reserve(bound) is None:
                return False
            page.write(lines, bound)
            self._outstanding.add(item.request)
        page.slots.append(Slot(item.request, item.asking.rule.rule, item.trace.trace_id, item.sample, tries))
        return True

    def full(self) -> Iterator[Batch]:
        """The batches that hold as much as they may, now closed and durable."""
        for key, page in tuple(self._pages.items()):
            if page.lines >= self._size or page.size >= _MOST_BYTES:
                yield self._close(self._pages.pop(key))

    def rest(self) -> Iterator[Batch]:
        """The batches that are left, now closed and durable."""
        while self._pages:
            _, page = self._pages.popitem()
            if page.lines:
                yield self._close(page)
            else:
                page.file.close()
                self._log.requests_file(page.name).unlink()
                self.waiting.extend((page.task, slot) for slot in page.slots)

    def _page(self, task: str, path: str) -> _Page:
        if (task, path) not in self._pages:
            name = self._name()
            self._log.folder.mkdir(parents=True, exist_ok=True)
            file = self._log.requests_file(name).open("wb")
            self._pages[task, path] = _Page(name, task, path, file)
        return self._pages[task, path]

    def _close(self, page: _Page) -> Batch:
        page.file.close()
        batch = Batch(page.name, page.task, self._model, page.path, page.calls, page.usd)
        self._log.written(batch, page.slots)
        return batch


def _lines(request: str, requests: Sequence[Request]) -> list[bytes]:
    ids = custom_ids(request, len(requests))
    return [request_line(custom_id, one) for custom_id, one in zip(ids, requests, strict=True)]
