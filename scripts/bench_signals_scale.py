"""Events by the ten million to signals: the store's own SQL beside plain SQL for the same work, a process each.

    scripts/bench signals --events 10000000

Made-up traffic, ten events a trace, four messages with times, sessions of five traces and people with twenty. The
store's tables are filled by SQL, since reading files is `ingest`'s work and not what is measured; its rate is printed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import duckdb

EVENTS_A_TRACE: Final = 10
MEMORY: Final = "2GB"
SAMPLE: Final = 50_000

_TRACES: Final = """
CREATE TABLE traces AS
SELECT printf('t%08d', i) AS trace_id, TIMESTAMP '2026-01-01' + to_seconds(i * 7 % 8000000) AS timestamp,
       printf('s%07d', i // 5) AS session_id, printf('u%07d', i // 20) AS user_id,
       list_transform(range(4), lambda turn: {{
           'role': if(turn % 2 = 0, 'user', 'assistant'),
           'content': array_to_string(list_transform(range(6 + ((hash(i, turn) % 9)::INT)), lambda w:
               ['how', 'do', 'export', 'the', 'table', 'again', 'please', 'invoice', 'haha', 'button', 'why', 'not',
                'working', 'report', 'email', 'you?'][(1 + hash(i // 3, turn, w) % 16)::INT]), ' '),
           'timestamp': TIMESTAMP '2026-01-01' + to_seconds(i * 7 % 8000000 + turn * (20 + (hash(i) % 50)::INT))}}) AS messages
FROM range({traces}) t(i)
"""
_EVENTS: Final = """
CREATE TABLE events AS
SELECT printf('t%08d', i // {each}) AS trace_id,
       TIMESTAMP '2026-01-01' + to_seconds(i // {each} * 7 % 8000000 + 60 + (hash(i) % 3000)::INT) AS timestamp,
       ['shown', 'shown', 'dwell', 'accepted', 'copied', 'edited', 'rejected', 'reverted', 'rated', 'regenerated'][kind] AS event,
       ['null', 'null', '12.5', 'null', 'null', '0.25', 'null', 'null', '"up"', 'null'][kind] AS value,
       if(kind = 10, '{{"prompt": "how do I export the table as a file"}}', '{{}}') AS metadata
FROM (SELECT i, (1 + hash(i + 1) % 10)::INT AS kind FROM range({events}) t(i))
"""
_STORED_TRACES: Final = """
INSERT INTO traces
SELECT md5_number_lower(trace_id), trace_id, timestamp, NULL, session_id, user_id, uuid(), to_json({
           'trace_id': trace_id, 'messages': list_transform(messages, lambda m: {
               'role': m.role, 'content': m.content, 'timestamp': strftime(m.timestamp, '%Y-%m-%dT%H:%M:%S+00:00')}),
           'session_id': session_id, 'user_id': user_id}), 1
FROM raw.traces ORDER BY 1
"""
_STORED_EVENTS: Final = """
INSERT INTO events SELECT uuid(), md5_number_lower(trace_id), trace_id, timestamp, event, value, metadata, 1 FROM raw.events
"""


def measure(events: int) -> None:
    """Prints processor seconds, ratio and peak memory of both, and the rate at which events are read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        _generate(Path(folder), events)
        found = {who: _in_process(who, folder) for who in ("plain", "store")}
        rate = _in_process("ingest", folder)
    ratio = found["store"]["cpu"] / found["plain"]["cpu"]
    print(
        f"\n{events:,} events of {events // EVENTS_A_TRACE:,} traces to signals, 2 threads, {MEMORY} for the database\n"
    )
    print("| | CPU s | wall s | events a CPU s | peak RSS, MB |\n|---|---|---|---|---|")
    for who, name in (
        ("plain", "plain SQL, a column a signal"),
        ("store", "the store, signals by name, kept up to date"),
    ):
        row = found[who]
        print(
            f"| {name} | {row['cpu']:.1f} | {row['wall']:.1f} | {events / row['cpu']:,.0f} | {row['rss']:,.0f} |"
        )
    print(f"\nratio {ratio:.2f}; `ingest` reads {SAMPLE / rate['cpu']:,.0f} events a CPU second, beside this")


def _generate(folder: Path, events: int) -> None:
    from promptlabel.store.duckdb_store import DuckDBStore

    with duckdb.connect(str(folder / "raw.duckdb"), config={"threads": "2"}) as database:
        database.execute(_TRACES.format(traces=events // EVENTS_A_TRACE))
        database.execute(_EVENTS.format(events=events, each=EVENTS_A_TRACE))
        sample = f"SELECT trace_id, timestamp, event, value::JSON AS value FROM events LIMIT {SAMPLE}"  # noqa: S608
        database.execute(f"COPY ({sample}) TO '{folder}/events.jsonl' (FORMAT json)")
    with DuckDBStore(folder / "store.duckdb", folder / "journal"):
        pass
    with duckdb.connect(str(folder / "store.duckdb"), config={"threads": "2"}) as database:
        database.execute(f"ATTACH '{folder}/raw.duckdb' AS raw (READ_ONLY)")
        database.execute(_STORED_TRACES)
        database.execute(_STORED_EVENTS)


def _in_process(who: str, folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, who, folder]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    )
    return found


def _work(who: str, folder: Path) -> None:
    if who == "plain":
        with duckdb.connect(
            str(folder / "raw.duckdb"), config={"threads": "2", "memory_limit": MEMORY}
        ) as database:
            database.execute("SET preserve_insertion_order = false")
            database.execute(Path(__file__).with_name("plain_signals.sql").read_text())
        return
    from promptlabel.pipeline.ingest import ingest, update_signals
    from promptlabel.store.duckdb_store import DuckDBStore

    if who == "store":
        with DuckDBStore(folder / "store.duckdb", folder / "journal") as store:
            update_signals(store)
    else:
        with DuckDBStore(folder / "other.duckdb", folder / "other") as store:
            ingest(store, [folder / "events.jsonl"])


if __name__ == "__main__":
    start, before = time.perf_counter(), time.process_time()
    _work(sys.argv[1], Path(sys.argv[2]))
    used = {
        "cpu": time.process_time() - before,
        "wall": time.perf_counter() - start,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(used))
