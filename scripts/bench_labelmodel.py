"""Label models side by side on real vote sets: quality without and with gold, calibration, CPU and memory.

    python scripts/bench_labelmodel.py [--data DIR] [--parts ...] [--sets a,b] [--seeds 10]

DIR holds a folder a vote set: `votes.parquet` (id, gold, optionally text, one `v_<rule>` column a rule) and
`meta.json` (classes), or `votes_long.parquet` (item, worker, label) and `gold.parquet` (item, gold).
Prints Markdown. Accuracy counts a tie of t classes as 1/t; probabilities below 1e-6 count as 1e-6.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from label_model_measures import FIGURES, Predict, VoteSet, measured, quality, read_sets, table
from label_model_peers import PEERS, majority_shares, simulated_judges, skewed_panel
from numpy.typing import NDArray

from promptlabel.labelmodel import LabelModel
from promptlabel.labelmodel.base import Estimator, Labelled
from promptlabel.labelmodel.calibration import confidence_exponent, correctness, log_loss, tempered
from promptlabel.labelmodel.guard import Guard, is_dense
from promptlabel.labelmodel.majority import Majority
from promptlabel.labelmodel.pattern_em import PatternEM
from promptlabel.labelmodel.patterns import group
from promptlabel.votes.dependence import dependence

FloatArray = NDArray[np.float64]
Scores = dict[str, dict[str, list[float]]]

NOT_IN_THE_21 = ("crowd_adult2",)
SPEED_ROWS = 1_000_000
TOLERATED = 0.015
TOLERATED_WITH_GOLD = 0.005


def ours(method: str, *, text: bool = False) -> Predict:
    def predict(data: VoteSet, gold: NDArray[np.int64] | None) -> FloatArray:
        words = data.text if text else None
        model = LabelModel(data.n_classes, method=method).fit(data.votes, gold, words)
        return model.predict_proba(data.votes, words)

    return predict


def warm_up(runs: Mapping[str, Predict]) -> None:
    """Every library imported here, so that no process that is measured counts its import."""
    votes, labels = simulated_judges(4, 4.0, 60, np.random.default_rng(0))
    tiny = VoteSet("tiny", votes, labels, 2, [f"word{label} {row % 7}" for row, label in enumerate(labels)])
    for predict in runs.values():
        predict(tiny, None)


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


def without_gold(sets: Sequence[VoteSet], runs: Mapping[str, Predict]) -> None:
    scores: Scores = {name: {} for name in runs}
    right: dict[str, dict[str, FloatArray]] = {name: {} for name in runs}
    for name, predict in runs.items():
        for data in sets:
            try:
                probabilities, seconds, memory = measured(predict, data, None)
            except RuntimeError as error:
                print(f"- {name} on {data.name}: {error}")
                continue
            known = data.gold >= 0
            scores[name][data.name] = [*quality(probabilities[known], data.gold[known]), seconds, memory]
            right[name][data.name] = correctness(probabilities[known], data.gold[known])
    for title, left_out in (("all sets", ()), ("all but crowd_adult2", NOT_IN_THE_21)):
        _no_gold_table(title, [data.name for data in sets if data.name not in left_out], scores, right)
    rows = [[data.name, *(of.get(data.name, ["-"])[0] for of in scores.values())] for data in sets]
    table("No gold, accuracy by set", ["set", *scores], rows)


def _no_gold_table(
    title: str, names: Sequence[str], scores: Scores, right: Mapping[str, Mapping[str, FloatArray]]
) -> None:
    header = ["method", "sets", *FIGURES, "CPU s", "MiB", "sets > 1.5 points below majority beyond noise"]
    rows = []
    for name, of in scores.items():
        own = [of[data] for data in names if data in of]
        if not own:
            continue
        losses = _losses(right[name], right["majority vote"], names)
        rows.append([name, len(own), *np.mean(own, axis=0).tolist(), losses])
    table(f"No gold, mean over {title}", header, rows)


def _losses(own: Mapping[str, FloatArray], base: Mapping[str, FloatArray], names: Sequence[str]) -> str:
    """Sets on which even the upper end of the 95 % interval of the paired difference is below -1.5 points."""
    gaps = {name: _interval(own[name] - base[name]) for name in names if name in own}
    return _listed(gaps, TOLERATED)


def _interval(gains: FloatArray) -> tuple[float, float]:
    """The mean and the half width of its 95 % interval."""
    return float(np.mean(gains)), 1.96 * float(np.std(gains)) / np.sqrt(len(gains))


def _listed(gaps: Mapping[str, tuple[float, float]], tolerated: float) -> str:
    worse = {name: gap for name, gap in gaps.items() if sum(gap) < -tolerated}
    return (
        ", ".join(f"{name} {100 * mean:+.1f}±{100 * half:.1f}" for name, (mean, half) in worse.items())
        or "none"
    )


def with_gold(sets: Sequence[VoteSet], counts: Sequence[int], seeds: int) -> None:
    runs = {
        "Snorkel (no gold)": functools.cache(_snorkel_once(sets)),
        "majority": ours("majority"),
        "auto": ours("auto"),
        "auto + text": ours("auto", text=True),
        "gold and text alone": gold_only,
    }
    texts = {data.name for data in sets if data.text is not None}
    for count in counts:
        scores, shortfalls = _gold_scores(sets, runs, count, seeds)
        for title, names in (("all sets", {data.name for data in sets}), ("sets with text", texts)):
            rows = [
                [name, len(of), *np.mean(list(of.values()), axis=0).tolist()]
                for name, of in _only(scores, names)
            ]
            table(f"{count} random gold, {title}, {seeds} seeds", ["method", "sets", *FIGURES], rows)
        rows = [
            [name, *(of.get(name, ["-"])[0] for of in scores.values())] for name in sorted(scores["auto"])
        ]
        table(f"{count} random gold, accuracy by set", ["set", *scores], rows)
        gaps = {name: _over_rows_and_seeds(of) for name, of in shortfalls.items()}
        print(
            "\nMore than half a point below the better of majority and best single rule, beyond noise:",
            end=" ",
        )
        print(_listed(gaps, TOLERATED_WITH_GOLD))


def _snorkel_once(sets: Sequence[VoteSet]) -> Callable[[str], FloatArray]:
    by_name = {data.name: data for data in sets}
    return lambda name: PEERS["Snorkel"][1](by_name[name].votes, by_name[name].n_classes, None)


def _only(scores: Scores, names: set[str]) -> list[tuple[str, dict[str, list[float]]]]:
    kept = [(name, {data: row for data, row in of.items() if data in names}) for name, of in scores.items()]
    return [(name, of) for name, of in kept if of]


def _gold_scores(
    sets: Sequence[VoteSet], runs: Mapping[str, Callable[..., FloatArray]], count: int, seeds: int
) -> tuple[Scores, dict[str, list[FloatArray]]]:
    """Mean quality by method and set, scored outside the gold, and what `auto` falls short of the baselines."""
    found: dict[str, dict[str, list[list[float]]]] = {name: {} for name in runs}
    shortfalls: dict[str, list[FloatArray]] = {}
    for data in sets:
        for seed in range(seeds):
            gold, rest = _split(data, count, seed)
            for name, predict in runs.items():
                if data.text is None and name == "gold and text alone":
                    continue
                whole = predict(data.name) if name.startswith("Snorkel") else predict(data, gold)
                found[name].setdefault(data.name, []).append(quality(whole[rest], data.gold[rest]))
                if name == "auto":
                    shortfalls.setdefault(data.name, []).append(_shortfall(whole[rest], data, gold, rest))
    means = {
        name: {data: np.mean(rows, axis=0).tolist() for data, rows in of.items()}
        for name, of in found.items()
    }
    return means, shortfalls


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
) -> FloatArray:
    """Right minus the better of majority vote and the rule that looks best on the gold, row by row of `data`."""
    labels, votes = data.gold[rest], data.votes[rest]
    hits = (data.votes[gold >= 0] == gold[gold >= 0][:, None]).sum(axis=0)
    baselines = [
        correctness(majority_shares(of, data.n_classes, None), labels)
        for of in (votes, votes[:, [hits.argmax()]])
    ]
    gains = np.full(len(data.gold), np.nan)
    gains[rest] = correctness(probabilities, labels) - max(baselines, key=np.mean)
    return gains


def _over_rows_and_seeds(gains: Sequence[FloatArray]) -> tuple[float, float]:
    """The mean gain and the half width of its 95 % interval, for other gold and for other rows."""
    by_row, by_seed = _row_means(np.array(gains)), np.nanmean(gains, axis=1)
    error = np.sqrt(by_row.var() / len(by_row) + by_seed.var(ddof=1) / len(by_seed))
    return float(by_seed.mean()), 1.96 * float(error)


def _row_means(gains: FloatArray) -> FloatArray:
    return np.nanmean(gains[:, ~np.isnan(gains).all(axis=0)], axis=0)


def judges(seeds: int) -> None:
    rows = []
    for truth in (9.0, 3.7, 2.5):
        estimates, gaps, naive = [], [], []
        for seed in range(seeds):
            votes, labels = simulated_judges(9, truth, 20_000, np.random.default_rng(seed))
            gold = np.where(np.arange(len(votes)) < 300, labels, -1)
            estimates.append(dependence(votes, gold, 2).effective_votes())
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
        ["method", *FIGURES],
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


def guard(sets: Sequence[VoteSet]) -> None:
    """What the guard would be had each set been left out of its choice: by log loss over sets as dense."""
    losses = {
        data.name: {name: _fit_figures(make, data) for name, make in ALTERNATIVES.items()} for data in sets
    }
    dense = {data.name: is_dense(group(data.votes, data.n_classes)[0]) for data in sets}
    rows = []
    for name, own in losses.items():
        others = [of for other, of in losses.items() if other != name and dense[other] == dense[name]]
        chosen = min(ALTERNATIVES, key=lambda way: np.mean([of[way][0] for of in others]))
        rows.append([name, "dense" if dense[name] else "sparse", chosen, *own[chosen], *own["guard"]])
    rows.append(["mean", "", "", *np.mean([row[3:] for row in rows], axis=0).tolist()])
    header = [
        "set left out",
        "votes",
        "chosen on the others",
        "log-loss",
        "accuracy",
        "guard's log-loss",
        "accuracy",
    ]
    table("The choice without gold, validated across sets", header, rows)


def _fit_figures(makes: Callable[[], Sequence[Estimator]], data: VoteSet) -> tuple[float, float]:
    """Log loss and accuracy of the mean of some estimators; on sparse votes as confident as majority vote."""
    patterns, inverse = group(data.votes, data.n_classes)
    nobody = Labelled(patterns.take(np.array([], int)), np.array([], int))
    even = np.full(data.n_classes, 1 / data.n_classes)
    mean = np.mean([made.fit(patterns, nobody, even).predict_proba(patterns) for made in makes()], axis=0)
    if not is_dense(patterns):
        smoothed = Majority().fit(patterns, nobody, even).predict_proba(patterns).max(axis=1)
        target = float(patterns.counts @ smoothed / patterns.counts.sum())
        mean = tempered(mean, confidence_exponent(mean, patterns.counts, target))
    known = data.gold >= 0
    found = mean[inverse][known]
    return log_loss(found, data.gold[known]), float(correctness(found, data.gold[known]).mean())


ALTERNATIVES: dict[str, Callable[[], Sequence[Estimator]]] = {
    "guard": lambda: [Guard()],
    "majority": lambda: [Majority()],
    "em of all rows": lambda: [PatternEM()],
    "em of votes": lambda: [PatternEM(False)],
    "em learning the balance": lambda: [PatternEM(False, True)],
    "em half-trusting a learnt balance": lambda: [PatternEM(False, True, 0.5)],
    "majority, em of all rows": lambda: [Majority(), PatternEM()],
    "majority, em of votes": lambda: [Majority(), PatternEM(False)],
    "majority, both em": lambda: [Majority(), PatternEM(), PatternEM(False)],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--sets", default="", help="names, separated by commas; default: all")
    parser.add_argument("--methods", default="", help="names, separated by commas; default: all")
    parser.add_argument("--parts", default="nogold,guard,gold,judges,skew,speed")
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
    warm_up(runs)
    parts = {
        "nogold": lambda: without_gold(sets, runs),
        "gold": lambda: with_gold(sets, [int(count) for count in options.gold.split(",")], options.seeds),
        "judges": lambda: judges(options.seeds),
        "skew": lambda: skewed(_without_text(runs), options.seeds),
        "speed": lambda: speed(sets, runs),
        "guard": lambda: guard(sets),
    }
    for part in options.parts.split(","):
        parts[part]()


if __name__ == "__main__":
    main()
