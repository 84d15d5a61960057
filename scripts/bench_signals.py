"""Real behaviour from raw events to votes of signals, each signal's accuracy against gold with its 95 % interval.

    scripts/bench signals [--data DIR] [--prompts N]     DIR holds copilot_telemetry/ and dialog_satisfaction/
    scripts/bench signals --events N                     the speed: see bench_signals_scale.py

The conversations of the package chitchat-dataset need no DIR. Thresholds were set for what the signals mean, before
these figures; those of chitchat on its earlier gold, its later gold judges. With --prompts, the packaged model's
prompts on N traces that have gold, alone and beside the signals.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import orjson

from promptlabel.evals.intervals import Estimate, paired, wilson
from promptlabel.labelmodel import LabelModel
from promptlabel.pipeline.authoring.analyze import RuleRow, analyze
from promptlabel.pipeline.ingest import ingest
from promptlabel.pipeline.voting.vote import vote
from promptlabel.pipeline.workspace import open_workspace

DATA: Final = Path("../shared/data")
EXAMPLE: Final = Path(__file__).parents[1] / "rules" / "engagement"
HELD_BACK: Final = "2018-09-20"
FOLDS: Final = 5
_ATTENTION_PROMPT: Final = """\
prompt: |
  A programmer types, and the editor suggests this code:
  {{ trace.output | truncate(400) }}
  Does the programmer read it or ignore it?
answers: {read: attending, ignore: elsewhere}
"""
_SATISFACTION_PROMPT: Final = """\
prompt: |
  The end of a conversation with a service:
  {% for message in trace.messages[-6:] %}
  {{ message.role }}: {{ message.content | truncate(160) }}
  {% endfor %}
  In the end, was the user satisfied or unsatisfied?
"""
SKIPPED: Final = 77

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Votes = npt.NDArray[np.int8]

_EPISODES: Final = """
CREATE TEMP TABLE rows AS SELECT *, row_number() OVER () AS place FROM read_parquet('{file}');
CREATE TEMP TABLE episodes AS
SELECT *, concat_ws('-', "user", sum((state = 'Shown')::INT) OVER (PARTITION BY "user" ORDER BY place)) AS trace_id
FROM rows;
"""
_SUGGESTIONS: Final = """
SELECT trace_id, min(time) AS timestamp, coalesce(arg_min(suggestion, place), '') AS output,
       any_value(task) AS category, any_value("user")::VARCHAR AS user_id
FROM episodes GROUP BY ALL HAVING bool_or(state = 'Shown')
"""
_TELEMETRY: Final = """
SELECT trace_id, time AS timestamp, lower(state) AS event, NULL::DOUBLE AS value FROM episodes
UNION ALL
SELECT trace_id, time, 'edited', (try_cast(edit AS DOUBLE[]))[-1] FROM episodes
WHERE state = 'Accepted' AND (try_cast(edit AS DOUBLE[]))[-1] > 0
"""
_STATES: Final = """
SELECT trace_id, 'attention' AS task, time AS timestamp, 'programmer' AS reviewer,
       if(regexp_matches(label, '[(][ADX][)]'), 'attending', 'elsewhere') AS label
FROM (SELECT arg_max(label, place) AS label, max(time) AS time, trace_id FROM episodes
      WHERE state IN ('Accepted', 'Rejected') GROUP BY trace_id)
WHERE label NOT LIKE 'IDK%'
"""
_DIALOGS: Final = """
SELECT concat_ws('-', corpus, session) AS trace_id, corpus AS category,
       list({{role: if(role = 'USER', 'user', 'assistant'), content: text}} ORDER BY turn) AS messages
FROM read_parquet('{file}') WHERE text <> 'OVERALL' GROUP BY ALL
"""
_SATISFACTION: Final = """
SELECT concat_ws('-', corpus, session) AS trace_id, 'satisfaction' AS task, 'annotators' AS reviewer,
       '2021-01-01T00:00:00Z' AS timestamp, if(list_avg(sat) > 3, 'satisfied', 'unsatisfied') AS label
FROM read_parquet('{file}') WHERE text = 'OVERALL' AND list_avg(sat) <> 3
"""


@dataclass(frozen=True)
class Study:
    """Raw data, how it becomes traces, events and gold, and what each signal is taken to mean."""

    title: str
    file: str
    prepared: str
    queries: Mapping[str, str]
    labels: tuple[str, str]
    task: str
    rules: Mapping[str, tuple[str, str]]
    prompts: Mapping[str, str]

    def write(self, data: Path, project: Path) -> list[Path]:
        """The raw data as files that `ingest` reads."""
        files = [project / f"{kind}.jsonl" for kind in self.queries]
        with duckdb.connect() as database:
            database.execute(self.prepared.format(file=data / self.file))
            for file, select in zip(files, self.queries.values(), strict=True):
                database.execute(f"COPY ({select.format(file=data / self.file)}) TO '{file}' (FORMAT json)")
        return files


class Chitchat(Study):
    """The worked example's conversations; of its gold only what is held back."""

    def write(self, data: Path, project: Path) -> list[Path]:  # noqa: ARG002 - as in Study
        """See `Study.write`."""
        import chitchat

        chitchat.main(project)
        gold = [orjson.loads(line) for line in (project / "gold.jsonl").read_bytes().splitlines()]
        (project / "gold.jsonl").write_bytes(_lines(row for row in gold if row["timestamp"][:10] > HELD_BACK))
        return [project / "traces.jsonl", project / "gold.jsonl"]


STUDIES: Final = (
    Study(
        "Copilot telemetry: is the programmer attending to the suggestion (self-labelled)?",
        "copilot_telemetry/events.parquet",
        _EPISODES,
        {"traces": _SUGGESTIONS, "events": _TELEMETRY, "gold": _STATES},
        ("attending", "elsewhere"),
        "attention",
        {
            "accepted": ("attending", "accepted >= 1"),
            "rejected": ("elsewhere", "rejected >= 1"),
            "kept": ("attending", "kept == 1"),
            "edited": ("attending", "edited_share >= 0.1"),
            "weighed": ("attending", "decision_seconds >= 2"),
            "dismissed_at_once": ("elsewhere", "decision_seconds < 0.5 and rejected >= 1"),
            "looked_again": ("attending", "replay_count >= 2"),
        },
        {"weighs_or_passes": _ATTENTION_PROMPT},
    ),
    Study(
        "Dialog satisfaction: was the person satisfied with the whole dialog (several annotators)?",
        "dialog_satisfaction/turns.parquet",
        "",
        {"traces": _DIALOGS, "gold": _SATISFACTION},
        ("satisfied", "unsatisfied"),
        "satisfaction",
        {
            "rephrased": ("unsatisfied", "rephrased_turns >= 1"),
            "never_rephrased": ("satisfied", "follow_up_similarity < 0.2"),
            "many_questions": ("unsatisfied", "questions / messages > 0.5"),
            "long": ("unsatisfied", "turns > 30"),
            "short": ("satisfied", "turns <= 12"),
            "one_sided": ("unsatisfied", "balance < 0.2"),
        },
        {"pleased_or_annoyed": _SATISFACTION_PROMPT},
    ),
    Chitchat(
        "Chitchat: did the conversation engage both people (one of them said)?",
        "",
        "",
        {},
        ("engaged", "bored"),
        "engagement",
        {
            "one_sided": ("bored", "one_sided == 1"),
            "few_messages": ("bored", "messages <= 4"),
            "little_text": ("bored", "characters <= 200"),
            "left_quickly": ("bored", "duration_seconds <= 120"),
            "terse": ("bored", "words_per_message <= 3"),
            "many_messages": ("engaged", "messages >= 30"),
            "much_text": ("engaged", "characters >= 1500"),
            "stayed": ("engaged", "duration_seconds >= 1800 and longest_silence <= 600"),
            "quick_replies": ("engaged", "reply_seconds_median <= 30 and turns >= 6"),
            "both_wrote": ("engaged", "balance >= 0.6 and turns >= 4"),
            "laughter": ("engaged", "laughter >= 2"),
        },
        {
            name: (EXAMPLE / file).read_text()
            for name, file in {
                "bored_or_engaged": "bored_or_engaged.yaml",
                "boring_or_interesting": "boring_or_interesting.jinja",
            }.items()
        },
    ),
)


def main() -> int:
    """Nothing is left but what is printed; 77 where the data are not there."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=DATA)
    arguments.add_argument("--prompts", type=int, default=0)
    arguments.add_argument("--events", type=int, default=0)
    asked = arguments.parse_args()
    if asked.events:
        import bench_signals_scale

        bench_signals_scale.measure(asked.events)
        return 0
    found = [study for study in STUDIES if not study.file or (asked.data / study.file).is_file()]
    for study in found:
        with tempfile.TemporaryDirectory() as folder:
            files = measure(study, asked.data, Path(folder))
            if asked.prompts:
                compare(study, files, asked.prompts)
    if len(found) < len(STUDIES):
        print(f"skipped: no copilot_telemetry or dialog_satisfaction under {asked.data}")
        return SKIPPED
    return 0


def measure(study: Study, data: Path, project: Path) -> list[Path]:
    """The files of the study; prints the table of its signals, run through ingest, vote and analyze."""
    files = study.write(data, project)
    _write_rules(study, project)
    with open_workspace(project) as workspace:
        report = ingest(workspace.store, files)
        vote(workspace)
        [task] = workspace.tasks
        said = Counter(gold.label for gold in workspace.store.gold(study.task))
        rows = analyze(workspace, task).rules
    total = sum(said.values())
    print(f"\n{study.title}")
    shares = ", ".join(f"{label} {said[label] / total:.3f}" for label in study.labels)
    print(
        f"{report.traces.added:,} traces, {report.events.added:,} events, {total:,} gold labels: {shares}\n"
    )
    print(
        "| signal | says | votes | accuracy | 95 % interval | share of that label |\n|---|---|---|---|---|---|"
    )
    for row in sorted(rows, key=lambda row: row.rule):
        _print(row, study, said, total)
    return files


def compare(study: Study, files: Sequence[Path], number: int) -> None:
    """Prints the accuracy of prompts alone and of prompts with signals, on a sample that has gold."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        gold = _sample(files, project, number)
        _write_rules(study, project, study.prompts)
        with open_workspace(project) as workspace:
            ingest(workspace.store, sorted(project.glob("*.jsonl")))
            vote(workspace)
            [task] = workspace.tasks
            table = workspace.store.vote_table(task.name, task.labels)
    truth = np.array([task.labels.index(gold[name]) for name in table.trace_ids])
    columns = [column for column, rule in enumerate(table.rules) if rule.kind == "prompt"]
    everything = list(range(len(table.rules)))
    print(f"\n{len(truth)} of these traces, {len(columns)} prompts of the packaged model\n")
    print("| gold | prompts alone | with signals | difference, points |\n|---|---|---|---|")
    for name, fit in (("none", _without_gold), (f"{FOLDS} folds", _in_folds)):
        alone, both = (
            fit(table.votes[:, some], _soft(table.soft, some), truth) == truth
            for some in (columns, everything)
        )
        lead = paired(int((both & ~alone).sum()), int((alone & ~both).sum()), len(truth))
        shown = [_interval(wilson(float(right.sum()), len(right))) for right in (alone, both)]
        print(
            f"| {name} | {shown[0]} | {shown[1]} | {100 * lead.estimate:+.1f} ({100 * lead.low:+.1f} to {100 * lead.high:+.1f}) |"
        )


def _soft(soft: Mapping[int, Floats], columns: Sequence[int]) -> dict[int, Floats]:
    return {place: soft[column] for place, column in enumerate(columns) if column in soft}


def _without_gold(votes: Votes, soft: Mapping[int, Floats], truth: Indices) -> Indices:
    classes = int(truth.max()) + 1
    return LabelModel(classes).fit(votes, soft=soft).predict_proba(votes, soft=soft).argmax(axis=1)


def _in_folds(votes: Votes, soft: Mapping[int, Floats], truth: Indices) -> Indices:
    """Each trace's likeliest label by a fit that saw the gold of the other folds alone."""
    fold = np.random.default_rng(0).permutation(len(truth)) % FOLDS
    said = np.zeros(len(truth), dtype=np.int64)
    for held in range(FOLDS):
        gold = np.where(fold == held, -1, truth)
        model = LabelModel(int(truth.max()) + 1).fit(votes, gold=gold, soft=soft)
        said[fold == held] = model.predict_proba(votes, soft=soft).argmax(axis=1)[fold == held]
    return said


def _sample(files: Sequence[Path], project: Path, number: int) -> dict[str, str]:
    """The labels of so many traces by id; their rows are in files of the same names in the project."""
    rows = {file.name: [orjson.loads(line) for line in file.read_bytes().splitlines()] for file in files}
    names = sorted({row["trace_id"] for row in rows["gold.jsonl"]})
    chosen = set(np.random.default_rng(0).choice(names, min(number, len(names)), replace=False).tolist())
    for name, some in rows.items():
        (project / name).write_bytes(_lines(row for row in some if row["trace_id"] in chosen))
    return {row["trace_id"]: row["label"] for row in rows["gold.jsonl"] if row["trace_id"] in chosen}


def _lines(rows: Iterable[Mapping[str, object]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def _write_rules(study: Study, project: Path, prompts: Mapping[str, str] = {}) -> None:
    folder = project / "rules" / study.task
    folder.mkdir(parents=True)
    (project / "promptlabel.yaml").write_text("models: {default: {provider: local}}\n")
    (folder / "task.yaml").write_text(f"task: {study.task}\nlabels: [{', '.join(study.labels)}]\n")
    for name, (label, condition) in study.rules.items():
        (folder / f"{name}.yaml").write_text(f'signal: {{{label}: "{condition}"}}\n')
    for name, text in prompts.items():
        ending = "jinja" if text.startswith("---") else "yaml"
        (folder / f"{name}.{ending}").write_text(text)


def _interval(found: Estimate) -> str:
    return f"{found.estimate:.3f} ({found.low:.3f}–{found.high:.3f})"


def _print(row: RuleRow, study: Study, said: Mapping[str, int], total: int) -> None:
    label, condition = study.rules[row.rule]
    known = row.accuracy is not None
    accuracy = f"{row.accuracy:.3f} | {row.accuracy_low:.3f}–{row.accuracy_high:.3f}" if known else "– | –"
    print(f"| `{condition}` | {label} | {row.votes:,} | {accuracy} | {said[label] / total:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
