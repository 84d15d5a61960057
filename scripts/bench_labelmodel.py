"""Label models side by side on real vote sets: quality without and with gold, calibration, CPU and memory.

    python scripts/bench_labelmodel.py [--data DIR] [--parts ...] [--sets a,b] [--seeds 10]

DIR holds a folder a vote set: `votes.parquet` (id, gold, optionally text, one `v_<rule>` column a rule) and
`meta.json` (classes), or `votes_long.parquet` (item, worker, label) and `gold.parquet` (item, gold).
Prints Markdown. Accuracy counts a tie of t classes as 1/t; probabilities below 1e-6 count as 1e-6.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
from label_model_peers import PEERS, majority_shares, simulated_judges, skewed_panel
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.base import Labelled
from promptlabel.labelmodel.calibration import brier_score, calibration_error, correctness, log_loss
from promptlabel.labelmodel.dependence import from_gold
from promptlabel.labelmodel.patterns import group

FloatArray = NDArray[np.float64]
Predict = Callable[["VoteSet", NDArray[np.int64] | None], FloatArray]

NOT_IN_THE_21 = ("crowd_adult2",)
SPEED_ROWS = 1_000_000
LONGEST_SECONDS = 300
FIGURES = ("accuracy", "macro-F1", "log-loss", "Brier", "ECE", "CPU s", "MiB")


@dataclass(frozen=True)
class VoteSet:
    """Votes [n, m], gold [n] with -1 for unknown, and texts where there are any."""

    name: str
    votes: NDArray[np.int8]
    gold: NDArray[np.int64]
    n_classes: int
    text: list[str] | None = None


def read_sets(data: Path, wanted: Sequence[str]) -> list[VoteSet]:
    folders = [folder for folder in sorted(data.iterdir()) if not wanted or folder.name in wanted]
    return [vote_set for folder in folders for vote_set in _read_set(folder)]


def _read_set(folder: Path) -> Iterable[VoteSet]:
    if folder.name == "sealed":
        return
    if (folder / "votes.parquet").exists():
        table = pq.read_table(folder / "votes.parquet")
        columns = [table[name].to_numpy() for name in table.column_names if name.startswith("v_")]
        text = table["text"].to_pylist() if "text" in table.column_names else None
        votes = np.stack(columns, axis=1).astype(np.int8)
        yield VoteSet(folder.name, votes, table["gold"].to_numpy().astype(int), _n_classes(folder), text)
    elif (folder / "votes_long.parquet").exists():
        yield _pivoted(folder)


def _pivoted(folder: Path) -> VoteSet:
    long, gold = pq.read_table(folder / "votes_long.parquet"), pq.read_table(folder / "gold.parquet")
    items, workers = gold["item"].to_numpy(), np.unique(long["worker"].to_numpy())
    rows = {item: row for row, item in enumerate(items)}
    votes = np.full((len(items), len(workers)), -1, np.int8)
    places = [rows[item] for item in long["item"].to_numpy()]
    votes[places, np.searchsorted(workers, long["worker"].to_numpy())] = long["label"].to_numpy()
    return VoteSet(folder.name, votes, gold["gold"].to_numpy().astype(int), _n_classes(folder))


def _n_classes(folder: Path) -> int:
    return len(orjson.loads((folder / "meta.json").read_bytes())["classes"])


def ours(method: str, *, text: bool = False) -> Predict:
    def predict(data: VoteSet, gold: NDArray[np.int64] | None) -> FloatArray:
        words = data.text if text else None
        model = LabelModel(data.n_classes, method=method).fit(data.votes, gold, words)
        return model.predict_proba(data.votes, words)

    return predict


def peer(fit_predict: Callable[..., FloatArray]) -> Predict:
    return lambda data, _gold: fit_predict(data.votes, data.n_classes, data.text)


def methods() -> dict[str, Predict]:
    own = {f"promptlabel {name}": ours(name) for name in ("majority", "weighted", "em", "auto")}
    own["promptlabel auto + text"] = ours("auto", text=True)
    missing = [name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module) is None]
    for name in missing:
        print(f"- {name} is not installed here and is left out")
    peers = {name: peer(run) for name, (_, run) in PEERS.items() if name not in missing}
    return {"majority vote": peer(majority_shares), **peers, **own}


def measured(
    predict: Predict, data: VoteSet, gold: NDArray[np.int64] | None
) -> tuple[FloatArray, float, float]:
    """Probabilities, CPU seconds and the growth of the peak memory in MiB, in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, predict, data, gold))
    child.start()
    result = receiver.recv() if receiver.poll(LONGEST_SECONDS) else f"stopped after {LONGEST_SECONDS} s"
    child.terminate()
    child.join()
    if isinstance(result, str):
        raise RuntimeError(result)
    return result


def _measure(sender, predict: Predict, data: VoteSet, gold: NDArray[np.int64] | None) -> None:  # noqa: ANN001
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        probabilities = predict(data, gold)
    except Exception as error:  # noqa: BLE001 - a peer may fail in any way; the table says how
        sender.send(f"{type(error).__name__}: {error}")
        return
    seconds = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sender.send((probabilities, seconds, grown))


def quality(probabilities: FloatArray, labels: NDArray[np.int64]) -> list[float]:
    return [
        float(correctness(probabilities, labels).mean()),
        float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0)),
        log_loss(probabilities, labels),
        brier_score(probabilities, labels),
        calibration_error(probabilities, labels),
    ]


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print("|", " | ".join(_cell(value) for value in row), "|", flush=True)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def without_gold(sets: Sequence[VoteSet], runs: Mapping[str, Predict]) -> None:
    scores: dict[str, dict[str, list[float]]] = {}
    right: dict[str, dict[str, FloatArray]] = {}
    for name, predict in runs.items():
        for data in sets:
            known = data.gold >= 0
            try:
                probabilities, seconds, memory = measured(predict, data, None)
            except RuntimeError as error:
                print(f"- {name} on {data.name}: {error}")
                continue
            row = [*quality(probabilities[known], data.gold[known]), seconds, memory]
            scores.setdefault(name, {})[data.name] = row
            right.setdefault(name, {})[data.name] = correctness(probabilities[known], data.gold[known])
    for title, left_out in (("all sets", ()), ("the 21 sets of the issue", NOT_IN_THE_21)):
        names = [data.name for data in sets if data.name not in left_out]
        rows = [
            [name, *_mean(of, names), _losses(right[name], right["majority vote"], names)]
            for name, of in scores.items()
        ]
        table(
            f"No gold, mean over {title} ({len(names)})",
            ["method", *FIGURES, "sets > 1.5 pt below majority beyond noise"],
            rows,
        )
    accuracies = [
        [data.name, *(of[data.name][0] if data.name in of else "-" for of in scores.values())]
        for data in sets
    ]
    table("No gold, accuracy by set", ["set", *scores], accuracies)


def _mean(of: Mapping[str, list[float]], names: Sequence[str]) -> list[float]:
    return np.mean([of[name] for name in names if name in of], axis=0).tolist()


def _losses(own: Mapping[str, FloatArray], base: Mapping[str, FloatArray], names: Sequence[str]) -> str:
    """Sets on which even the upper end of the 95 % interval of the difference is below -1.5 points."""
    found = []
    for name in names:
        if name in own:
            gap, margin = _paired(own[name] - base[name])
            if gap + margin < -0.015:
                found.append(f"{name} {100 * gap:+.1f}±{100 * margin:.1f}")
    return ", ".join(found) or "none"


def _paired(gains: FloatArray) -> tuple[float, float]:
    return float(gains.mean()), 1.96 * float(gains.std()) / np.sqrt(len(gains))


def with_gold(sets: Sequence[VoteSet], counts: Sequence[int], seeds: int) -> None:
    runs = {
        "majority": ours("majority"),
        "auto": ours("auto"),
        "auto + text": ours("auto", text=True),
        "gold and text alone": gold_only,
    }
    for count in counts:
        scores: dict[str, dict[str, list[list[float]]]] = {name: {} for name in runs}
        short: dict[str, list[float]] = {}
        for data in sets:
            for seed in range(seeds):
                gold, rest = _split(data, count, seed)
                for name, predict in runs.items():
                    if data.text is None and name in ("auto + text", "gold and text alone"):
                        continue
                    probabilities = predict(data, gold)[rest]
                    scores[name].setdefault(data.name, []).append(quality(probabilities, data.gold[rest]))
                    if name == "auto":
                        short.setdefault(data.name, []).append(_shortfall(probabilities, data, gold, rest))
        names, texts = [data.name for data in sets], [data.name for data in sets if data.text is not None]
        for title, group_names in (("all sets", names), ("sets with text", texts)):
            rows = [
                [name, *np.mean([np.mean(of[n], axis=0) for n in group_names if n in of], axis=0).tolist()]
                for name, of in scores.items()
                if any(n in of for n in group_names)
            ]
            table(
                f"{count} random gold, {title} ({len(group_names)}), {seeds} seeds",
                ["method", *FIGURES[:5]],
                rows,
            )
        bad = [
            f"{name} {100 * np.mean(gaps):+.1f}±{196 * np.std(gaps, ddof=1) / np.sqrt(seeds):.1f}"
            for name, gaps in short.items()
            if np.mean(gaps) + 1.96 * np.std(gaps, ddof=1) / np.sqrt(seeds) < -0.005
        ]
        print(
            f"\nMore than half a point below the better of majority and best single rule, beyond noise: {', '.join(bad) or 'none'}"
        )


def gold_only(data: VoteSet, gold: NDArray[np.int64] | None) -> FloatArray:
    """TF-IDF and logistic regression on the labelled texts alone: what the votes are to add to."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    known = np.flatnonzero(gold >= 0)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(data.text)
    model = LogisticRegression(C=10.0, max_iter=1000).fit(words[known], gold[known])
    probabilities = np.full((len(gold), data.n_classes), 1e-6)
    probabilities[:, model.classes_] = model.predict_proba(words)
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _split(data: VoteSet, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random gold (at most half of what is known), and the known rows outside it."""
    known = np.flatnonzero(data.gold >= 0)
    drawn = np.random.default_rng(seed).choice(known, min(count, len(known) // 2), replace=False)
    gold = np.full(len(data.gold), -1)
    gold[drawn] = data.gold[drawn]
    return gold, np.setdiff1d(known, drawn)


def _shortfall(
    probabilities: FloatArray, data: VoteSet, gold: NDArray[np.int64], rest: NDArray[np.int64]
) -> float:
    """Accuracy minus that of the better of majority vote and the rule that looks best on the gold."""
    labels = data.gold[rest]
    majority = correctness(majority_shares(data.votes[rest], data.n_classes, None), labels).mean()
    hits = (data.votes[gold >= 0] == gold[gold >= 0][:, None]).sum(axis=0)
    alone = majority_shares(data.votes[rest][:, [hits.argmax()]], data.n_classes, None)
    return float(correctness(probabilities, labels).mean() - max(majority, correctness(alone, labels).mean()))


def judges(seeds: int) -> None:
    rows = []
    for truth in (9.0, 3.7, 2.5):
        estimates, gaps, naive = [], [], []
        for seed in range(seeds):
            votes, labels = simulated_judges(9, truth, 20_000, np.random.default_rng(seed))
            gold = np.where(np.arange(len(votes)) < 300, labels, -1)
            patterns, inverse = group(votes[:300], 2)
            estimates.append(from_gold(Labelled(patterns.take(inverse), labels[:300])).effective_votes())
            probabilities = LabelModel(2).fit(votes, gold).predict_proba(votes)[300:]
            gaps.append(probabilities.max(axis=1).mean() - correctness(probabilities, labels[300:]).mean())
            bayes = PEERS["crowd-kit Dawid-Skene"][1](votes, 2, None)[300:]
            naive.append(bayes.max(axis=1).mean() - correctness(bayes, labels[300:]).mean())
        within = float(np.mean(np.abs(np.array(estimates) / truth - 1) <= 0.15))
        rows.append(
            [
                truth,
                float(np.mean(estimates)),
                within,
                100 * float(np.mean(gaps)),
                100 * float(np.max(np.abs(gaps))),
                100 * float(np.mean(naive)),
            ]
        )
    table(
        f"Nine simulated judges, 300 gold, {seeds} seeds",
        [
            "true n_eff",
            "estimate",
            "share within 15 %",
            "confidence - accuracy, points",
            "largest",
            "the same for Dawid-Skene",
        ],
        rows,
    )


def skewed(runs: Mapping[str, Predict], seeds: int) -> None:
    rows = []
    for name, predict in runs.items():
        found = []
        for seed in range(seeds):
            votes, labels = skewed_panel(4000, np.random.default_rng(seed))
            found.append(quality(predict(VoteSet("skewed", votes, labels, 4, None), None), labels))
        rows.append([name, *np.mean(found, axis=0).tolist()])
    table(
        f"Classes 90/5/3/2, nine correlated judges and three heuristics, no gold, {seeds} seeds",
        ["method", *FIGURES[:5]],
        rows,
    )


def _without_text(runs: Mapping[str, Predict]) -> dict[str, Predict]:
    return {name: run for name, run in runs.items() if "text" not in name and "CROWDLAB" not in name}


def speed(sets: Sequence[VoteSet], runs: Mapping[str, Predict]) -> None:
    source = next(data for data in sets if data.votes.shape[1] == 10)
    drawn = np.random.default_rng(0).integers(0, len(source.votes), SPEED_ROWS)
    large = VoteSet("large", source.votes[drawn], source.gold[drawn], source.n_classes)
    rows = [
        [name, *measured(runs[name], large, None)[1:]]
        for name in ("promptlabel auto", "Snorkel")
        if name in runs
    ]
    table(
        f"{SPEED_ROWS:,} x 10 votes resampled from {source.name}: fit and predict",
        ["method", "CPU s", "MiB"],
        rows,
    )
    patterns, _ = group(large.votes, large.n_classes)
    started = time.process_time()
    LabelModel(large.n_classes).fit_patterns(patterns.votes, patterns.counts)
    print(
        f"\nRefit from {len(patterns.votes)} stored patterns: {1000 * (time.process_time() - started):.1f} ms CPU"
    )
    wide = np.random.default_rng(1).integers(-1, 3, (5000, 88)).astype(np.int8)
    print(f"\n88 rules: {np.isnan(LabelModel(3).fit(wide).predict_proba(wide)).sum()} NaN")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--sets", default="", help="names, separated by commas; default: all")
    parser.add_argument("--methods", default="", help="names, separated by commas; default: all")
    parser.add_argument("--parts", default="nogold,gold,judges,skew,speed")
    parser.add_argument("--gold", default="20,50,100,200")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"{options.data} is not there; give --data DIR")
    sets = read_sets(options.data, [name for name in options.sets.split(",") if name])
    wanted = [name for name in options.methods.split(",") if name]
    runs = {
        name: run
        for name, run in methods().items()
        if not wanted or name in wanted or name == "majority vote"
    }
    parts = {
        "nogold": lambda: without_gold(sets, runs),
        "gold": lambda: with_gold(sets, [int(count) for count in options.gold.split(",")], options.seeds),
        "judges": lambda: judges(options.seeds),
        "skew": lambda: skewed(_without_text(runs), options.seeds),
        "speed": lambda: speed(sets, runs),
    }
    for part in options.parts.split(","):
        parts[part]()


if __name__ == "__main__":
    main()
