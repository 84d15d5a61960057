"""Position bias of judges of pairs, and what asking in both orders makes of it.

scripts/bench pairs [--data DIR] [--model] [--pairs 40]

Without --model: the stored votes of four LLM judges on LLMBar's processed pairs, each asked in both orders. With it, the
embedded model asked about some of the pairs by two rules, through the project's own `vote`, `analyze` and `export`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from promptlabel.votes.positions import BothOrders, position_bias

LONGEST = 900
"""Characters of a pair that the embedded model is asked about: its window is small."""
RULES = {
    "task.yaml": "task: better\nkind: pairwise\n",
    "which.yaml": "prompt: |\n  Question: {{ trace.input }}\n  Answer A: {{ trace.first }}\n  Answer B: {{ trace.second }}\n"
    "  Which answer is better, A or B?\nanswers: {A: first, B: second}\n",
    "worse.yaml": "prompt: |\n  A: {{ trace.first }}\n  B: {{ trace.second }}\n"
    '  Which of these two is the worse reply to "{{ trace.input }}"?\nanswers: {B: first, A: second}\n',
}


def judges(folder: Path) -> None:
    """Each stored judge: how often it flips, and how right it is asked once and asked twice."""
    table = parquet.read_table(folder / "votes.parquet")
    gold = np.array(table["gold"].to_pylist())
    names = sorted({name.removesuffix("/ab") for name in table.column_names if name.endswith("/ab")})
    print(
        f"{len(gold)} pairs\n{'judge':10} {'flips':>6} {'first':>6} {'once':>6} {'twice':>6} {'of pairs':>8}"
    )
    for name in names:
        as_logged, swapped = (np.array(table[f"{name}/{order}"].to_pylist()) for order in ("ab", "ba"))
        both = (as_logged >= 0) & (swapped >= 0)
        chosen = _as_logged(swapped, gold)
        seen = zip(as_logged[both].tolist(), (1 - chosen[both]).tolist(), strict=True)
        bias = position_bias([BothOrders(one, other) for one, other in seen])
        agreed = both & (as_logged == chosen)
        once = np.mean([(as_logged == gold)[both].mean(), (chosen == gold)[both].mean()])
        print(
            f"{name.split('/')[0][2:]:10} {bias.flips:6.3f} {bias.first_share:6.3f} {once:6.3f}"
            f" {(as_logged == gold)[agreed].mean():6.3f} {agreed.mean():8.3f}"
        )


def _as_logged(swapped: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """The votes of the other order in terms of the outputs as logged, whichever way the file writes them."""
    turned = np.where(swapped >= 0, 1 - swapped, swapped)
    return max((swapped, turned), key=lambda votes: (votes == gold).mean())


def embedded(folder: Path, number: int) -> None:
    """The embedded model through a project of its own."""
    rows = parquet.read_table(folder / "votes.parquet", columns=["id", "text", "gold"]).to_pylist()
    pairs = [(row["id"], json.loads(row["text"]), row["gold"]) for row in rows]
    short = [pair for pair in pairs if sum(map(len, pair[1].values())) < LONGEST][:number]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "rules" / "better").mkdir(parents=True)
        (root / "promptlabel.yaml").write_text("models:\n  default: {provider: local, threads: 1}\n")
        for name, text in RULES.items():
            (root / "rules" / "better" / name).write_text(text)
        (root / "traces.jsonl").write_text("\n".join(_trace(*pair) for pair in short))
        (root / "gold.jsonl").write_text("\n".join(_gold(*pair) for pair in short))
        for verb in (
            ["ingest", f"{root}/traces.jsonl", f"{root}/gold.jsonl"],
            ["vote", "--progress", "none"],
            ["analyze"],
            ["analyze", "--json"],
        ):
            _run(root, *verb)


def _trace(name: int, pair: dict[str, str], _: int) -> str:
    outputs = [pair["output_1"], pair["output_2"]]
    return json.dumps({"trace_id": str(name), "input": pair["instruction"], "outputs": outputs})


def _gold(name: int, _: dict[str, str], better: int) -> str:
    label = ("first", "second")[better]
    said = {"task": "better", "label": label, "reviewer": "llmbar", "timestamp": "2026-01-01T00:00:00Z"}
    return json.dumps({"trace_id": str(name), **said})


def _run(root: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "promptlabel", *arguments, "--project", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr if done.returncode else "", sep="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", action="store_true", help="ask the embedded model")
    parser.add_argument("--pairs", type=int, default=40)
    options = parser.parse_args()
    folder = options.data / "llmbar_processed"
    if not folder.is_dir():
        sys.exit(f"skipped: {folder} is not there; give --data")
    if options.model:
        embedded(folder, options.pairs)
    else:
        judges(folder)


if __name__ == "__main__":
    main()
