"""The store's schema as an ordered list of small steps, each recorded when applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from promptlabel.errors import StoreError
from promptlabel.store.connection import Connection

Step: TypeAlias = Callable[[Connection], None]


def m001_traces(connection: Connection) -> None:
    """Traces, their events and their signals; `place` is the trace's place in the random order of votes."""
    connection.execute("""
        CREATE TABLE traces (
            place UBIGINT PRIMARY KEY, trace_id VARCHAR NOT NULL, timestamp TIMESTAMP, category VARCHAR,
            session_id VARCHAR, user_id VARCHAR, content_hash UUID NOT NULL, record VARCHAR NOT NULL,
            batch INTEGER NOT NULL);
        CREATE TABLE events (
            key UUID PRIMARY KEY, place UBIGINT NOT NULL, trace_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL,
            event VARCHAR NOT NULL, value VARCHAR, metadata VARCHAR NOT NULL, batch INTEGER NOT NULL);
        CREATE TABLE signals (
            place UBIGINT PRIMARY KEY, trace_id VARCHAR NOT NULL, signals VARCHAR NOT NULL, batch INTEGER NOT NULL)
    """)


def m002_votes(connection: Connection) -> None:
    """All votes ever cast, the rules registered now, and the current votes, which follow from both.

    Keys of votes are unique because the one writer sees to it: an index of a million keys takes 100 MB.
    """
    connection.execute("""
        CREATE TABLE cast_votes (
            key UUID NOT NULL, trace_id VARCHAR NOT NULL, task VARCHAR NOT NULL, rule_hash VARCHAR NOT NULL,
            model_hash VARCHAR NOT NULL, status VARCHAR NOT NULL, label VARCHAR, confidence DOUBLE,
            distribution VARCHAR, sample INTEGER NOT NULL, request UUID, raw VARCHAR, cause VARCHAR,
            rationale VARCHAR, place UBIGINT NOT NULL, batch INTEGER NOT NULL);
        CREATE TABLE rules (
            task VARCHAR, position INTEGER, rule VARCHAR NOT NULL, kind VARCHAR NOT NULL, model VARCHAR NOT NULL,
            rule_hash VARCHAR NOT NULL, model_hash VARCHAR NOT NULL, PRIMARY KEY (task, position));
        CREATE VIEW votes AS
            SELECT trace_id, task, rule, model, label, status, confidence, sample,
                   distribution::JSON AS distribution, cause, rationale, request, raw::JSON AS raw, key,
                   kind, rule_hash, model_hash, position, place
            FROM cast_votes JOIN rules USING (task, rule_hash, model_hash)
    """)


def m003_attempts(connection: Connection) -> None:
    """Every request ever sent, with what it cost."""
    connection.execute("""
        CREATE TABLE attempts (
            request UUID, task VARCHAR NOT NULL, rule VARCHAR NOT NULL, model VARCHAR NOT NULL,
            timestamp TIMESTAMP NOT NULL, seconds DOUBLE NOT NULL, cause VARCHAR NOT NULL, input_tokens BIGINT NOT NULL,
            output_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, usd DOUBLE NOT NULL,
            batch INTEGER NOT NULL)
    """)


def m004_people(connection: Connection) -> None:
    """What people said: gold as ingested, and the events of the review page."""
    connection.execute("""
        CREATE TABLE gold (
            trace_id VARCHAR, task VARCHAR, label VARCHAR NOT NULL, reviewer VARCHAR, timestamp TIMESTAMP,
            blind BOOLEAN NOT NULL, lane VARCHAR, probability DOUBLE, batch INTEGER NOT NULL,
            PRIMARY KEY (trace_id, task, reviewer, timestamp));
        CREATE SEQUENCE arrivals;
        CREATE TABLE reviews (
            event_id VARCHAR PRIMARY KEY, trace_id VARCHAR NOT NULL, task VARCHAR NOT NULL,
            reviewer VARCHAR NOT NULL, action VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL, label VARCHAR,
            blind BOOLEAN NOT NULL, seconds DOUBLE, lane VARCHAR, probability DOUBLE, undoes VARCHAR,
            batch INTEGER NOT NULL, arrival BIGINT DEFAULT nextval('arrivals'));
        CREATE VIEW decided AS
            SELECT DISTINCT task, trace_id FROM reviews
            WHERE action <> 'undo' AND event_id NOT IN (SELECT undoes FROM reviews WHERE undoes IS NOT NULL)
    """)


def m005_results(connection: Connection) -> None:
    """What follows from votes: fits, posteriors, the queue, small named values."""
    connection.execute("""
        CREATE TABLE fits (
            task VARCHAR PRIMARY KEY, labels VARCHAR[] NOT NULL, fitted_at TIMESTAMP NOT NULL,
            chosen VARCHAR NOT NULL, report VARCHAR NOT NULL);
        CREATE TABLE posteriors (
            task VARCHAR NOT NULL, position INTEGER NOT NULL, trace_id VARCHAR NOT NULL, probs DOUBLE[] NOT NULL);
        CREATE TABLE picks (
            task VARCHAR NOT NULL, position BIGINT NOT NULL, trace_id VARCHAR NOT NULL, lane VARCHAR NOT NULL,
            score DOUBLE NOT NULL, probability DOUBLE NOT NULL, reason VARCHAR NOT NULL, parts VARCHAR NOT NULL);
        CREATE TABLE states (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)
    """)


def m006_ledger(connection: Connection) -> None:
    """One row a commit and table, chained, and the commits that the journal knows but the store lost."""
    connection.execute("""
        CREATE TABLE ledger (
            batch INTEGER, relation VARCHAR, rows BIGINT NOT NULL, keys UHUGEINT NOT NULL,
            unjournaled BIGINT NOT NULL, segment INTEGER NOT NULL, position BIGINT NOT NULL,
            chain VARCHAR NOT NULL, PRIMARY KEY (batch, relation));
        CREATE TABLE losses (batch INTEGER NOT NULL, relation VARCHAR NOT NULL, rows BIGINT NOT NULL)
    """)


def m007_events_without_index(connection: Connection) -> None:
    """Events as before, without the index on their keys, which the one writer keeps unique: it took 100 bytes a row."""
    connection.execute("""
        CREATE TABLE events_without_index (
            key UUID NOT NULL, place UBIGINT NOT NULL, trace_id VARCHAR NOT NULL, timestamp TIMESTAMP NOT NULL,
            event VARCHAR NOT NULL, value VARCHAR, metadata VARCHAR NOT NULL, batch INTEGER NOT NULL);
        INSERT INTO events_without_index SELECT * FROM events;
        DROP TABLE events;
        ALTER TABLE events_without_index RENAME TO events
    """)


def m008_forgettings(connection: Connection) -> None:
    """What was forgotten and when, and the marks by which it is refused from then on; one writer keeps them unique."""
    connection.execute("""
        CREATE TABLE forgettings (
            key UUID PRIMARY KEY, since TIMESTAMP NOT NULL, salt VARCHAR NOT NULL, remembered BOOLEAN NOT NULL,
            erased BOOLEAN NOT NULL, traces BIGINT NOT NULL);
        CREATE TABLE forgotten (
            mark UUID NOT NULL, forgetting UUID NOT NULL, salt VARCHAR NOT NULL, since TIMESTAMP NOT NULL,
            remembered BOOLEAN NOT NULL);
        CREATE MACRO mark_of(salt, kind, name) AS
            left(sha256(concat(salt, chr(31), kind, chr(31)) ||
                        replace(replace(name, chr(9216), chr(9216) || chr(9216)), chr(0), chr(9216) || '0')), 32)::UUID
    """)


def m009_deeds(connection: Connection) -> None:
    """What people did, each entry with the seal over it and those before."""
    connection.execute("""
        CREATE TABLE deeds (
            entry BIGINT NOT NULL, timestamp TIMESTAMP NOT NULL, person VARCHAR NOT NULL, via VARCHAR NOT NULL,
            host VARCHAR NOT NULL, verb VARCHAR NOT NULL, task VARCHAR, outcome VARCHAR NOT NULL,
            details VARCHAR NOT NULL, seal VARCHAR NOT NULL, batch INTEGER NOT NULL)
    """)


MIGRATIONS: tuple[Step, ...] = (
    m001_traces,
    m002_votes,
    m003_attempts,
    m004_people,
    m005_results,
    m006_ledger,
    m007_events_without_index,
    m008_forgettings,
    m009_deeds,
)


def migrate(connection: Connection, steps: Sequence[Step] = MIGRATIONS) -> None:
    """Nothing; the schema is this version's, or, where a step fails, what it was.

    Raises:
        StoreError: if a newer version of promptlabel has changed the schema.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (name VARCHAR PRIMARY KEY, applied_at TIMESTAMP DEFAULT current_localtimestamp())"
    )
    applied = {name for (name,) in connection.execute("SELECT name FROM migrations").fetchall()}
    unknown = applied - {step.__name__ for step in steps}
    if unknown:
        raise StoreError(
            f"the store was written by a newer promptlabel (it has {', '.join(sorted(unknown))}):"
            " upgrade promptlabel"
        )
    missing = [step for step in steps if step.__name__ not in applied]
    if missing:
        _apply(connection, missing)


def _apply(connection: Connection, steps: Sequence[Step]) -> None:
    connection.begin()
    try:
        for step in steps:
            step(connection)
            connection.execute("INSERT INTO migrations (name) VALUES ($1)", [step.__name__])
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
