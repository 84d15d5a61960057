"""The report: one page that needs nothing else, says what the figures say, and escapes what production wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import orjson
import pytest

from promptlabel.evals.audit import Sample, audit_sample
from promptlabel.evals.intervals import Estimate, wilson
from promptlabel.flywheel.drift import freshness
from promptlabel.flywheel.figures import (
    EvalFigures,
    ModelFigures,
    MonthFigures,
    QueueFigures,
    ReportFigures,
    RuleFigures,
    SingleRules,
    TaskFigures,
    VersionFigures,
    compare,
    posterior_figures,
)
from promptlabel.flywheel.gap import category_gap
from promptlabel.flywheel.history import Cycle, Cycles, Headline
from promptlabel.flywheel.report import SECTIONS, between, count, lead, percent, report_html, usd
from promptlabel.flywheel.turning import EdgeCases, Refused, flow, median_estimate
from promptlabel.records import Pick, Trace
from promptlabel.review.agreement import agreement

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LABELS = {"good": "The answer solved the problem.", "bad": "It did not."}
RULES = ("asks_again", "thanks", "copied_the_answer", "very_short")


def simulated(seed: int = 7, n: int = 3000, gold: int = 240) -> TaskFigures:
    """A task whose votes, posteriors and gold are drawn, and whose figures are all computed from them."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.35).astype(np.int64)
    votes = np.full((n, len(RULES)), -1, dtype=np.int8)
    for j, (right, coverage) in enumerate([(0.86, 0.7), (0.8, 0.5), (0.75, 0.4), (0.62, 0.9)]):
        voted = rng.random(n) < coverage
        votes[voted, j] = np.where(rng.random(n) < right, truth, 1 - truth)[voted]
    logits = sum(
        w * ((votes[:, j] == 1) * 1.0 - (votes[:, j] == 0)) for j, w in enumerate([1.8, 1.4, 1.1, 0.5])
    )
    second = 1 / (1 + np.exp(-(logits - 0.4)))
    probs = np.column_stack([1 - second, second])
    tally = np.column_stack([(votes == k).sum(axis=1) for k in (0, 1)]) + 0.5
    majority = tally / tally.sum(axis=1, keepdims=True)
    known = rng.choice(n, gold, replace=False)
    categories = rng.choice(["chat", "code", "search", "writing"], n, p=[0.4, 0.3, 0.2, 0.1])
    traces = [
        Trace(f"t{i:05}", NOW - timedelta(days=float(rng.exponential(70))), category=str(categories[i]))
        for i in range(n)
    ]
    cases = [traces[i] for i in known[:150]]
    audited = Sample(truth[known], known, np.full(gold, gold / n), probs)
    return TaskFigures(
        task="answer_quality",
        labels=LABELS,
        traces=n,
        gold=gold,
        rules=tuple(rule_figures(votes, truth, known, j) for j in range(len(RULES))),
        n_eff=2.7,
        audit=audit_sample(audited, tuple(LABELS)),
        queue=QueueFigures(
            waiting={"audit": 30, "uncertain": 82, "conflict": 38},
            decided=240,
            first=(
                Pick(
                    "t00017",
                    "answer_quality",
                    "uncertain",
                    0.98,
                    1.0,
                    "The rules leave it open: good 51 %, bad 49 %.",
                ),
                Pick(
                    "t00940",
                    "answer_quality",
                    "audit",
                    0.2,
                    0.01,
                    "Drawn at random, as 1 % of all traces are.",
                ),
            ),
        ),
        evals=EvalFigures(
            versions=(
                VersionFigures("2026.10.1", 90, 90, {"good": 60, "bad": 30}, NOW - timedelta(days=40)),
                VersionFigures("2026.11.1", 150, 60, {"good": 98, "bad": 52}, NOW - timedelta(days=2)),
            ),
            freshness=freshness(cases, traces, rng),
            months=tuple(
                MonthFigures(f"2026-{m:02}", s, p)
                for m, s, p in [(8, 0.3, 0.1), (9, 0.3, 0.2), (10, 0.25, 0.3), (11, 0.15, 0.4)]
            ),
        ),
        model=ModelFigures(
            chosen="anchored",
            reason="anchored has the least cross-validated log loss on gold",
            compared={
                "majority": {"log_loss": 0.52, "accuracy": 0.79, "ece": 0.06},
                "anchored": {"log_loss": 0.41, "accuracy": 0.84, "ece": 0.03},
            },
            fitted_at=NOW,
        ),
        posterior=posterior_figures(probs, tuple(LABELS)),
        comparison=compare(
            probs[known],
            majority[known],
            SingleRules(votes[known], RULES),
            truth[known],
            "240 human labels that the label model never saw",
        ),
        gap=category_gap(categories[known].tolist(), probs[known].argmax(axis=1) == truth[known], rng),
        agreement=agreement(np.where(rng.random((60, 2)) < 0.9, 0, 1), 2, rng),
        flow=flow([one.timestamp for one in traces if one.timestamp], [NOW] * 40, 0.05, 150),
        seconds=median_estimate(rng.exponential(8, 240).tolist()),
        cost=Estimate(0.00002, 0.000018, 0.000023),
        edges=EdgeCases(
            "2026-10", 40, wilson(31, 40), {"conflict": wilson(12, 20), "uncertain": wilson(19, 20)}
        ),
        refused=(Refused("export", "same text as a case of a frozen eval version", 12, "2026-11-23"),),
        cycles=Cycles(
            tuple(a_cycle(day, gap) for day, gap in ((2, 0.31), (9, 0.24), (16, 0.12), (23, 0.05)))
        ),
    )


def a_cycle(day: int, gap: float) -> Cycle:
    """Headlines of a fit in November whose category gap is this."""
    found = Headline.of(
        "gap", "worst against best category", "share", Estimate(gap, gap - 0.04, gap + 0.04), "down"
    )
    return Cycle(f"2026-11-{day:02} 12:00", (found, Headline("traces", "traces", "count", 1000 * day)))


def rule_figures(votes: np.ndarray, truth: np.ndarray, known: np.ndarray, j: int) -> RuleFigures:
    voted = votes[known, j] >= 0
    right = int((votes[known, j] == truth[known])[voted].sum())
    return RuleFigures(
        rule=RULES[j],
        kind="prompt" if j < 2 else "heuristic",
        model="default" if j < 2 else "code",
        votes=int((votes[:, j] >= 0).sum()),
        calls=0,
        coverage=float((votes[:, j] >= 0).mean()),
        overlap=0.6,
        conflict=0.2,
        accuracy=wilson(right, int(voted.sum())),
        usd=0.0132 if j == 0 else 0.0,
    )


def a_report(*tasks: TaskFigures) -> ReportFigures:
    return ReportFigures(project="support-bot", made_at=NOW, usd=0.0132, calls=2100, tasks=tasks)


EMPTY = TaskFigures(
    task="fresh",
    labels=LABELS,
    traces=0,
    gold=0,
    rules=(),
    n_eff=None,
    queue=QueueFigures({}, 0, ()),
    evals=EvalFigures((), None, ()),
)


class Outside(HTMLParser):
    """Collects whatever a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object", "embed"}:
            self.found.append(tag)
        self.found += [
            name for name, _ in attributes if name in {"src", "href", "srcset"} or name.startswith("on")
        ]


@pytest.fixture(scope="module")
def task() -> TaskFigures:
    return simulated()


def test_the_page_needs_nothing_else(task: TaskFigures) -> None:
    page = report_html(a_report(task, EMPTY))
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert "url(" not in page
    assert "@import" not in page


def test_headlines_and_comparison_say_the_figures(task: TaskFigures) -> None:
    page = report_html(a_report(task))
    assert task.audit.accuracy is not None
    assert task.comparison is not None
    assert percent(task.audit.accuracy.estimate) in page
    assert between(task.audit.accuracy) in page
    for score in task.comparison.scores:
        assert score.name in page
        assert percent(score.accuracy.estimate) in page
    for difference in task.comparison.lead.values():
        assert lead(difference) in page
    assert task.comparison.basis in page
    assert "2026.11.1" in page
    assert "Drawn at random" in page


def test_every_section_names_the_command_that_reproduces_it(task: TaskFigures) -> None:
    page = report_html(a_report(task))
    sections = page.split("<section>")[1:]
    assert len(sections) == len(SECTIONS)
    assert all(
        re.search(r"Reproduce: <code>promptlabel [a-z]+[^<]* --task answer_quality</code>", s)
        for s in sections
    )


def test_the_cycle_before_stands_beside_this_one(task: TaskFigures) -> None:
    page = report_html(a_report(task))
    assert "the one before of 2026-11-16 12:00" in page
    assert re.search(r"12.0 %.*5.0 %.*no change beyond chance", page, re.DOTALL)
    assert 'Over 4 cycles the gap <b class="good">has closed</b>' in page
    assert "77.5 %" in page


def test_a_task_without_anything_says_what_to_do() -> None:
    page = report_html(a_report(EMPTY))
    assert "No human labels to compare with" in page
    assert "Not fitted yet" in page
    assert "None frozen yet" in page
    assert "No tasks yet" in report_html(a_report())


def test_what_production_wrote_is_text(task: TaskFigures) -> None:
    hostile = Pick("<script>alert(1)</script>", "t", "audit", 1.0, 0.5, "<img src=x onerror=alert(1)>")
    page = report_html(a_report(replace(task, queue=QueueFigures({"audit": 1}, 0, (hostile,)))))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_the_figures_are_ready_for_json(task: TaskFigures) -> None:
    record = orjson.loads(orjson.dumps(a_report(task, EMPTY)))
    assert record["tasks"][0]["audit"]["accuracy"].keys() >= {"estimate", "low", "high", "method", "n"}
    assert record["tasks"][1]["comparison"] is None


def test_the_best_single_rule_is_the_one_most_often_right(task: TaskFigures) -> None:
    assert task.comparison is not None
    names = [score.name for score in task.comparison.scores]
    assert names[:2] == ["posterior", "majority vote"]
    assert names[2].startswith("best single rule (")
    assert set(task.comparison.lead) == set(names[1:])


def test_the_curve_and_the_histogram_hold_everything(task: TaskFigures) -> None:
    assert task.comparison is not None
    assert task.posterior is not None
    assert sum(band.n for band in task.comparison.curve) == task.comparison.scores[0].n
    assert sum(task.posterior.confidence) == task.traces


def test_numbers_for_people() -> None:
    assert percent(0.8734) == "87.3 %"
    assert lead(Estimate(0.021, -0.003, 0.045)) == "+2.1 points (−0.3 to +4.5)"
    assert count(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert (usd(0), usd(0.00132), usd(1234.5)) == ("$0.00", "$0.0013", "$1,234.50")
