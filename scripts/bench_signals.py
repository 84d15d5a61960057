"""Real behaviour from raw events to votes of signals, each signal's accuracy against gold with its 95 % interval.

scripts/bench signals [--data DIR]     DIR holds copilot_telemetry/ and dialog_satisfaction/

Thresholds were set for what the signals mean, before these figures; none was fitted to gold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from promptlabel.pipeline.analyze import RuleRow, analyze
from promptlabel.pipeline.ingest import ingest
from promptlabel.pipeline.vote import vote
from promptlabel.pipeline.workspace import open_workspace

DATA: Final = Path("../shared/data")
SKIPPED: Final = 77

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
    ),
)


def main() -> int:
    """Nothing is left but what is printed; 77 where the data are not there."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, default=DATA)
    data = arguments.parse_args().data
    found = [study for study in STUDIES if (data / study.file).is_file()]
    if not found:
        print(f"skipped: no copilot_telemetry or dialog_satisfaction under {data}")
        return SKIPPED
    for study in found:
        with tempfile.TemporaryDirectory() as folder:
            measure(study, data / study.file, Path(folder))
    return 0


def measure(study: Study, raw: Path, project: Path) -> None:
    """Prints the table of one study, run through ingest, vote and analyze in a project of its own."""
    files = _written(study, raw, project)
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


def _written(study: Study, raw: Path, project: Path) -> list[Path]:
    files = [project / f"{kind}.jsonl" for kind in study.queries]
    with duckdb.connect() as database:
        database.execute(study.prepared.format(file=raw))
        for file, select in zip(files, study.queries.values(), strict=True):
            database.execute(f"COPY ({select.format(file=raw)}) TO '{file}' (FORMAT json)")
    return files


def _write_rules(study: Study, project: Path) -> None:
    folder = project / "rules" / study.task
    folder.mkdir(parents=True)
    (project / "promptlabel.yaml").write_text("models: {default: {provider: local}}\n")
    (folder / "task.yaml").write_text(f"task: {study.task}\nlabels: [{', '.join(study.labels)}]\n")
    for name, (label, condition) in study.rules.items():
        (folder / f"{name}.yaml").write_text(f'signal: {{{label}: "{condition}"}}\n')


def _print(row: RuleRow, study: Study, said: Mapping[str, int], total: int) -> None:
    label, condition = study.rules[row.rule]
    known = row.accuracy is not None
    accuracy = f"{row.accuracy:.3f} | {row.accuracy_low:.3f}–{row.accuracy_high:.3f}" if known else "– | –"
    print(f"| `{condition}` | {label} | {row.votes:,} | {accuracy} | {said[label] / total:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
