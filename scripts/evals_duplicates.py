"""Recall, precision and speed of the near-duplicate check, on planted copies and on real text."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

from promptlabel.evals.duplicates import TextIndex, batches, contents
from promptlabel.evals.near_duplicates import NEAR, SHORT, NearIndex, n_grams
from promptlabel.records import Trace

SETS = ("banking77", "youtube", "trec")
PLANTED = 2_000
ROWS = 1_000_000
INDEXED = 10_000

Edit = Callable[[str, random.Random], str]


def typos(text: str, chosen: random.Random) -> str:
    """One letter in thirty is another."""
    letters = list(text)
    for place in chosen.sample(range(len(letters)), max(1, len(letters) // 30)):
        letters[place] = chosen.choice("etaoinshr")
    return "".join(letters)


def word_swapped(text: str, chosen: random.Random) -> str:
    """One word is another."""
    words = text.split()
    words[chosen.randrange(len(words))] = chosen.choice(["really", "please", "account", "today"])
    return " ".join(words)


EDITS: dict[str, Edit] = {
    "letter case and spacing": lambda text, _: text.upper().replace(" ", "  "),
    "punctuation": lambda text, _: text.replace(",", "") + "!!",
    "a greeting before": lambda text, _: f"hi, {text}",
    "thanks after": lambda text, _: f"{text} thanks a lot",
    "one letter in thirty": typos,
    "one word": word_swapped,
    "the last tenth cut": lambda text, _: text[: round(len(text) * 0.9)],
}


def texts_of(folder: Path, name: str) -> pd.DataFrame:
    """The texts of a set with their labels, each text once."""
    (file,) = (folder / name).glob("*.parquet")
    rows = pd.read_parquet(file).rename(columns={"category": "label", "gold": "label"})
    return rows[["text", "label"]].drop_duplicates("text").reset_index(drop=True)


def traces(texts: list[str]) -> list[Trace]:
    return [Trace(f"t{row}", input=text) for row, text in enumerate(texts)]


def planted(texts: list[str], edit: Edit) -> tuple[float, float]:
    """Share of edited copies that are found as copies of their own original, and of anything."""
    index = TextIndex((trace, trace.trace_id) for trace in traces(texts))
    chosen = random.Random(0)
    rows = chosen.sample(range(len(texts)), min(PLANTED, len(texts)))
    found = index.find(traces([edit(texts[row], chosen) for row in rows]))
    own = np.mean(
        [match is not None and match.place == f"t{row}" for row, match in zip(rows, found, strict=True)]
    )
    return float(own), float(np.mean([match is not None for match in found]))


def real(rows: pd.DataFrame) -> str:
    """Pairs found in a set against all pairs by exact n-gram counts, and how often they share a label."""
    texts = [contents(trace) for trace in traces(list(rows.text))]
    found = NearIndex(texts).pairs(texts)
    upper = found.indexed < found.other
    mine = set(zip(found.indexed[upper].tolist(), found.other[upper].tolist(), strict=True))
    theirs = exact_pairs(texts)
    label = rows.label.to_numpy()
    same = np.mean([label[i] == label[j] for i, j in mine]) if mine else float("nan")
    rng = np.random.default_rng(0)
    chance = np.mean(
        label[rng.integers(len(label), size=100_000)] == label[rng.integers(len(label), size=100_000)]
    )
    recall, precision = len(mine & theirs) / max(len(theirs), 1), len(mine & theirs) / max(len(mine), 1)
    return f"{len(mine):,} | {recall:.1%} | {precision:.1%} | {same:.1%} | {chance:.1%}"


def exact_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """All pairs of long texts with the same numbers whose n-grams overlap enough, by scikit-learn's counts."""
    count = CountVectorizer(analyzer="char", ngram_range=(4, 4), binary=True, lowercase=False)
    matrix = count.fit_transform([text.ljust(4, "\0") for text in texts]).astype(np.int32).tocsr()
    sizes = np.asarray(matrix.sum(axis=1)).ravel()
    numbers = ["".join(letter if letter.isdigit() else " " for letter in text).split() for text in texts]
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(texts), 500):
        both = (matrix[start : start + 500] @ matrix.T).tocoo()
        first, second = both.row + start, both.col
        near = (both.data / (sizes[first] + sizes[second] - both.data) >= NEAR) & (first < second)
        pairs |= set(zip(first[near].tolist(), second[near].tolist(), strict=True))
    return {
        (i, j) for i, j in pairs if min(len(texts[i]), len(texts[j])) >= SHORT and numbers[i] == numbers[j]
    }


def speed(rows: pd.DataFrame) -> str:
    """CPU seconds for a million rows made of real words against ten thousand cases, and what is found of planted ones."""
    words = " ".join(rows.text).split()
    chosen = random.Random(0)
    texts = list(rows.text)[:INDEXED]
    lengths = [len(text.split()) for text in texts]
    stream = [
        typos(chosen.choice(texts), chosen)
        if row % 1_000 == 0
        else " ".join(chosen.choices(words, k=chosen.choice(lengths)))
        for row in range(ROWS)
    ]
    started = time.process_time()
    index = TextIndex((trace, trace.trace_id) for trace in traces(texts))
    found = sum(match is not None for batch in batches(traces(stream)) for match in index.find(batch))
    seconds = time.process_time() - started
    size = sum(map(len, stream)) / ROWS
    return f"{ROWS:,} rows of {size:.0f} characters on average against {len(texts):,} cases: {seconds:.1f} CPU s, {found:,} found of {ROWS // 1_000:,} planted"


def beside_datasketch(rows: pd.DataFrame) -> str:
    """CPU seconds to find near duplicates of the first thousand texts among all of a set, beside datasketch's LSH."""
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        return "datasketch is not installed: no comparison"
    texts = [contents(trace) for trace in traces(list(rows.text))]
    started = time.process_time()
    ours = set(NearIndex(texts[:1_000]).pairs(texts).other.tolist())
    seconds = time.process_time() - started
    started = time.process_time()
    lsh = MinHashLSH(threshold=NEAR, num_perm=96)
    signed = [_sketch(MinHash, text) for text in texts]
    for row in range(1_000):
        lsh.insert(str(row), signed[row])
    theirs = {row for row, one in enumerate(signed) if lsh.query(one)}
    other = time.process_time() - started
    return (
        f"{len(texts):,} texts against 1,000: {seconds:.2f} CPU s, datasketch's MinHashLSH {other:.2f} CPU s; "
        f"found {len(ours):,} and, unverified, {len(theirs):,}"
    )


def _sketch(kind: type, text: str) -> object:
    signed = kind(num_perm=96)
    signed.update_batch([gram.encode() for gram in n_grams(text)])
    return signed


def report(folder: Path) -> None:
    """Nothing; prints the tables."""
    found = {name: texts_of(folder, name) for name in SETS}
    print("Planted copies of texts: found as a copy of their original (of anything)\n")
    print(f"| edit | {' | '.join(SETS)} |\n|---|{'---|' * len(SETS)}")
    for name, edit in EDITS.items():
        long = {key: [text for text in rows.text if len(text) >= SHORT] for key, rows in found.items()}
        cells = ["{:.1%} ({:.1%})".format(*planted(texts, edit)) for texts in long.values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\n| set | pairs found | recall against all pairs | precision | pairs with one label | by chance |")
    print("|---|---|---|---|---|---|")
    for name, rows in found.items():
        print(f"| {name} ({len(rows):,}) | {real(rows)} |", flush=True)
    print(f"\n{speed(found['banking77'])}")
    print(beside_datasketch(found["banking77"]))
