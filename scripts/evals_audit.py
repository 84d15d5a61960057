"""Coverage and width of audit intervals on real votes whose labels are known, beside plain random sampling."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from promptlabel import LabelModel
from promptlabel.evals.active import draw
from promptlabel.evals.audit import Sample, audit_sample
from promptlabel.evals.intervals import Estimate, wilson

TAUGHT = 100
LARGEST = 6_000
SETS = ("youtube", "trec", "chemprot", "hausa", "yelp_votes", "imdb_votes")


@dataclass(frozen=True)
class Labelled:
    """Traces whose true labels are known, with the posterior of a fit that saw other gold."""

    name: str
    gold: np.ndarray
    probs: np.ndarray

    @property
    def accuracy(self) -> float:
        """How often the posterior's label is the true one."""
        return float((self.probs.argmax(axis=1) == self.gold).mean())

    @property
    def doubt(self) -> np.ndarray:
        """What the posterior leaves open of each trace."""
        confidence = self.probs.max(axis=1)
        return confidence * (1 - confidence)


def labelled(folder: Path, name: str) -> Labelled:
    """A set with the posterior of the default label model taught by 100 random gold labels, which are left out."""
    rows = pd.read_parquet(folder / name / "votes.parquet").query("gold >= 0")
    rows = rows.sample(min(len(rows), LARGEST), random_state=0).reset_index(drop=True)
    votes = rows[[column for column in rows if column.startswith("v_")]].to_numpy().astype(np.int64)
    gold, text = rows.gold.to_numpy().astype(np.int64), list(rows.text) if "text" in rows else None
    classes = len(json.loads((folder / name / "meta.json").read_text())["classes"])
    taught = np.random.default_rng(0).choice(len(gold), TAUGHT, replace=False)
    seen = np.full(len(gold), -1)
    seen[taught] = gold[taught]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LabelModel(classes).fit(votes, gold=seen, text=text)
    rest = np.setdiff1d(np.arange(len(gold)), taught)
    return Labelled(name, gold[rest], model.predict_proba(votes, text=text)[rest])


def evenly(data: Labelled, reviews: int, rng: np.random.Generator) -> Sample:
    rows = rng.choice(len(data.gold), reviews, replace=False)
    return Sample(data.gold[rows], rows, np.full(reviews, reviews / len(data.gold)), data.probs)


def by_doubt(data: Labelled, reviews: int, rng: np.random.Generator) -> Sample:
    drawn = draw(data.doubt, reviews, rng.random(len(data.gold)))
    return Sample(data.gold[drawn.rows], drawn.rows, drawn.probability, data.probs)


def measure(data: Labelled, reviews: int, repeats: int) -> Iterator[str]:
    """A row of Markdown for accuracy, and one for the share of the most frequent label."""
    labels = [str(k) for k in range(data.probs.shape[1])]
    common = int(np.bincount(data.gold).argmax())
    truths = {"accuracy": data.accuracy, "share of a label": float((data.gold == common).mean())}
    posterior = {
        "accuracy": float(data.probs.max(axis=1).mean()),
        "share of a label": float(data.probs[:, common].mean()),
    }
    found: dict[tuple[str, str], list[Estimate]] = {}
    rng = np.random.default_rng(reviews)
    for _ in range(repeats):
        even, doubted = evenly(data, reviews, rng), by_doubt(data, reviews, rng)
        for how, sample in (("even", even), ("doubt", doubted)):
            audited = audit_sample(sample, labels)
            found.setdefault(("accuracy", how), []).append(audited.accuracy)
            found.setdefault(("share of a label", how), []).append(audited.balance[str(common)])
        unseen = 1 - reviews / len(data.gold)
        right = int(even.right.sum())
        found.setdefault(("accuracy", "plain"), []).append(_narrowed(wilson(right, reviews), unseen))
        hits = int((even.gold == common).sum())
        found.setdefault(("share of a label", "plain"), []).append(_narrowed(wilson(hits, reviews), unseen))
    for figure, truth in truths.items():
        plain = _width(found[figure, "plain"])
        cells = [
            f"{_coverage(found[figure, how], truth):.3f}, {(plain / _width(found[figure, how])) ** 2:.2f}x"
            for how in ("plain", "even", "doubt")
        ]
        error = f"{100 * (posterior[figure] - truth):+.1f}"
        yield f"| {data.name} ({len(data.gold):,}) | {figure} {truth:.3f} | {reviews} | {' | '.join(cells)} | {error} |"


def report(folder: Path, repeats: int) -> None:
    """Nothing; prints the table."""
    print(
        f"{repeats} repeats; cells: coverage of the 95 % interval, reviews saved against plain random sampling"
    )
    print(
        "| set | figure | reviews | random, Wilson | random, PPI++ | by doubt, active inference | posterior mean off by |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in SETS:
        data = labelled(folder, name)
        for reviews in (100, 200, 400):
            print("\n".join(measure(data, reviews, repeats)), flush=True)


def _narrowed(estimate: Estimate, unseen: float) -> Estimate:
    scale, middle = unseen**0.5, estimate.estimate
    return Estimate(
        middle, middle - scale * (middle - estimate.low), middle + scale * (estimate.high - middle)
    )


def _coverage(estimates: list[Estimate], truth: float) -> float:
    return float(np.mean([truth in one for one in estimates]))


def _width(estimates: list[Estimate]) -> float:
    return float(np.mean([one.high - one.low for one in estimates]))
