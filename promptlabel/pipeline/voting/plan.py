"""`plan`: what a vote would take in calls, tokens and money; nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptlabel.llm.batches import BatchClient
from promptlabel.llm.client import Client
from promptlabel.pipeline.voting.asking import Asking, Wanted, all_askings, interleaved, wanted
from promptlabel.pipeline.voting.vote import require_rules
from promptlabel.pipeline.workspace import Workspace
from promptlabel.records import Usage


@dataclass(slots=True)
class PlanRow:
    """What one rule would ask of one model; `cached` votes have an answer that was paid for before."""

    task: str
    rule: str
    model: str
    calls: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0

    def count(self, usage: Usage, usd: float) -> None:
        """Nothing; one more request is in the row."""
        self.calls += 1
        self.input_tokens += usage.input_tokens
        self.output_tokens += usage.output_tokens
        self.usd += usd


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Totals, a row a rule and model, and what the budget has left (None where there is no limit).

    Attributes:
        fits: whether the plan stays within the budget; if not, a vote stops on it and can be resumed.
    """

    calls: int
    tokens: Mapping[str, int]
    usd: float
    rules: Sequence[PlanRow]
    usd_left: float | None
    calls_left: int | None
    fits: bool


def plan(
    workspace: Workspace, *, rules: Sequence[str] = (), limit: int | None = None, batch: bool = False
) -> PlanReport:
    """The plan for exactly what `vote` would do now with the same options."""
    require_rules(workspace.tasks, rules)
    asked = all_askings(workspace, rules)
    rows = _rows(workspace, asked, limit, batch=batch)
    calls, usd = sum(row.calls for row in rows), sum(row.usd for row in rows)
    budget, spent = workspace.project.settings.budget, workspace.store.spent()
    usd_left = None if budget.usd is None else max(0.0, budget.usd - spent.usd)
    calls_left = None if budget.calls is None else max(0, budget.calls - spent.calls)
    return PlanReport(
        calls=calls,
        tokens={
            "input": sum(row.input_tokens for row in rows),
            "output": sum(row.output_tokens for row in rows),
        },
        usd=usd,
        rules=rows,
        usd_left=usd_left,
        calls_left=calls_left,
        fits=(usd_left is None or usd <= usd_left) and (calls_left is None or calls <= calls_left),
    )


def _rows(workspace: Workspace, asked: Sequence[Asking], limit: int | None, *, batch: bool) -> list[PlanRow]:
    rows = {id(asking): PlanRow(asking.rule.task, asking.rule.rule, asking.rule.model) for asking in asked}
    seen: set[str] = set()
    for chunk in interleaved([wanted(workspace, asking, limit) for asking in asked]):
        items = [item for item in chunk if isinstance(item, Wanted)]
        known = workspace.store.answers([item.request for item in items])
        for item in items:
            row = rows[id(item.asking)]
            if item.request in known or item.request in seen:
                row.cached += 1
            else:
                seen.add(item.request)
                client = item.asking.client
                usage = client.count_tokens(item.question)
                row.count(usage, _price(client, usage, batch=batch))
    return list(rows.values())


def _price(client: Client, usage: Usage, *, batch: bool) -> float:
    return client.batch_price(usage) if batch and isinstance(client, BatchClient) else client.price(usage)
