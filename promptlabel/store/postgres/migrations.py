"""The shared store's schema as an ordered list of small steps, each recorded when applied, one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from promptlabel.errors import StoreError
from promptlabel.store.postgres.session import Connection

Step: TypeAlias = Callable[[Connection], None]

_LOCK: Final = 7_030_816_201
"""The number of the advisory lock that whoever migrates holds."""


def m001_places(connection: Connection) -> None:
    """The place of a trace in the random order of votes, the same as DuckDB's `md5_number_lower`, sign flipped."""
    connection.execute("""
        CREATE FUNCTION md5_number_lower(name TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
            SELECT (('x' || substr(m, 31, 2) || substr(m, 29, 2) || substr(m, 27, 2) || substr(m, 25, 2) ||
                     substr(m, 23, 2) || substr(m, 21, 2) || substr(m, 19, 2) || substr(m, 17, 2))::BIT(64)
                    # x'8000000000000000'::BIT(64))::BIGINT
            FROM md5(name) AS m $$
    """)


def m002_traces(connection: Connection) -> None:
    """Traces, their events and their signals."""
    connection.execute("""
        CREATE SEQUENCE batches;
        CREATE TABLE traces (
            place BIGINT PRIMARY KEY, trace_id TEXT COLLATE "C" NOT NULL, timestamp TIMESTAMP,
            category TEXT COLLATE "C", session_id TEXT COLLATE "C", user_id TEXT COLLATE "C",
            content_hash UUID NOT NULL, record TEXT NOT NULL, batch BIGINT NOT NULL);
        CREATE INDEX traces_in_order ON traces (timestamp NULLS LAST, trace_id);
        CREATE TABLE events (
            key UUID PRIMARY KEY, place BIGINT NOT NULL, trace_id TEXT COLLATE "C" NOT NULL,
            timestamp TIMESTAMP NOT NULL, event TEXT COLLATE "C" NOT NULL, value TEXT, metadata TEXT NOT NULL,
            batch BIGINT NOT NULL);
        CREATE INDEX events_of_trace ON events (place);
        CREATE TABLE signals (
            place BIGINT PRIMARY KEY, trace_id TEXT COLLATE "C" NOT NULL, signals TEXT NOT NULL,
            batch BIGINT NOT NULL)
    """)


def m003_votes(connection: Connection) -> None:
    """All votes ever cast, the rules registered now, and the current votes, which follow from both.

    A key belongs to one trace, so the primary key may begin with its place: votes are cast in that order, so
    that new rows go to the end of few pages, and those of one trace lie together.
    """
    connection.execute("""
        CREATE TABLE cast_votes (
            key UUID NOT NULL, trace_id TEXT COLLATE "C" NOT NULL, task TEXT COLLATE "C" NOT NULL,
            rule_hash TEXT COLLATE "C" NOT NULL, model_hash TEXT COLLATE "C" NOT NULL, status TEXT NOT NULL,
            label TEXT COLLATE "C", confidence FLOAT8, distribution TEXT, sample INTEGER NOT NULL, request UUID,
            raw TEXT, cause TEXT COLLATE "C", rationale TEXT, place BIGINT NOT NULL, batch BIGINT NOT NULL,
            PRIMARY KEY (place, key));
        CREATE INDEX votes_by_request ON cast_votes (request) WHERE request IS NOT NULL;
        CREATE TABLE rules (
            task TEXT COLLATE "C", position INTEGER, rule TEXT COLLATE "C" NOT NULL, kind TEXT NOT NULL,
            model TEXT COLLATE "C" NOT NULL, rule_hash TEXT COLLATE "C" NOT NULL,
            model_hash TEXT COLLATE "C" NOT NULL, PRIMARY KEY (task, position));
        CREATE VIEW votes AS
            SELECT trace_id, task, rule, model, label, status, confidence, sample, distribution, cause, rationale,
                   request, raw, key, kind, rule_hash, model_hash, position, place
            FROM cast_votes JOIN rules USING (task, rule_hash, model_hash)
    """)


def m004_attempts(connection: Connection) -> None:
    """Every request ever sent, with what it cost."""
    connection.execute("""
        CREATE TABLE attempts (
            request UUID, task TEXT COLLATE "C" NOT NULL, rule TEXT COLLATE "C" NOT NULL,
            model TEXT COLLATE "C" NOT NULL, timestamp TIMESTAMP NOT NULL, seconds FLOAT8 NOT NULL,
            cause TEXT NOT NULL, input_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
            cached_tokens BIGINT NOT NULL, usd FLOAT8 NOT NULL, batch BIGINT NOT NULL)
    """)


def m005_people(connection: Connection) -> None:
    """What people said: gold as ingested, the events of the review page, and who has which trace before them."""
    connection.execute("""
        CREATE TABLE gold (
            trace_id TEXT COLLATE "C", task TEXT COLLATE "C", label TEXT COLLATE "C" NOT NULL,
            reviewer TEXT COLLATE "C", timestamp TIMESTAMP, blind BOOLEAN NOT NULL, lane TEXT, probability FLOAT8,
            batch BIGINT NOT NULL, PRIMARY KEY (trace_id, task, reviewer, timestamp));
        CREATE TABLE reviews (
            event_id TEXT COLLATE "C" PRIMARY KEY, trace_id TEXT COLLATE "C" NOT NULL,
            task TEXT COLLATE "C" NOT NULL, reviewer TEXT COLLATE "C" NOT NULL, action TEXT NOT NULL,
            timestamp TIMESTAMP NOT NULL, label TEXT COLLATE "C", blind BOOLEAN NOT NULL, seconds FLOAT8, lane TEXT,
            probability FLOAT8, undoes TEXT COLLATE "C", batch BIGINT NOT NULL,
            arrival BIGINT GENERATED ALWAYS AS IDENTITY);
        CREATE INDEX reviews_in_order ON reviews (task, arrival);
        CREATE INDEX reviews_of_trace ON reviews (task, trace_id);
        CREATE INDEX reviews_undone ON reviews (undoes) WHERE undoes IS NOT NULL;
        CREATE TABLE review_leases (
            task TEXT COLLATE "C", trace_id TEXT COLLATE "C", place INTEGER, reviewer TEXT COLLATE "C" NOT NULL,
            until TIMESTAMPTZ NOT NULL, PRIMARY KEY (task, trace_id, place));
        CREATE VIEW decided AS
            SELECT DISTINCT task, trace_id FROM reviews
            WHERE action <> 'undo' AND event_id NOT IN (SELECT undoes FROM reviews WHERE undoes IS NOT NULL)
    """)


def m006_results(connection: Connection) -> None:
    """What follows from votes: fits, posteriors, the queue, small named values."""
    connection.execute("""
        CREATE TABLE fits (
            task TEXT COLLATE "C" PRIMARY KEY, labels TEXT[] NOT NULL, fitted_at TIMESTAMP NOT NULL,
            chosen TEXT NOT NULL, report TEXT NOT NULL);
        CREATE TABLE posteriors (
            task TEXT COLLATE "C" NOT NULL, position INTEGER NOT NULL, trace_id TEXT COLLATE "C" NOT NULL,
            probs FLOAT8[] NOT NULL, PRIMARY KEY (task, position));
        CREATE TABLE picks (
            task TEXT COLLATE "C" NOT NULL, position BIGINT NOT NULL, trace_id TEXT COLLATE "C" NOT NULL,
            lane TEXT NOT NULL, score FLOAT8 NOT NULL, probability FLOAT8 NOT NULL, reason TEXT NOT NULL,
            parts TEXT NOT NULL, PRIMARY KEY (task, position));
        CREATE TABLE states (name TEXT COLLATE "C" PRIMARY KEY, value TEXT NOT NULL)
    """)


def m007_processes(connection: Connection) -> None:
    """Who writes: how much of each journal is in the store, and who does what only one may do."""
    connection.execute("""
        CREATE TABLE journals (
            journal UUID PRIMARY KEY, owner TEXT NOT NULL, token BIGINT NOT NULL, batch BIGINT NOT NULL,
            segment INTEGER NOT NULL, position BIGINT NOT NULL);
        CREATE TABLE tenures (
            name TEXT PRIMARY KEY, token BIGINT NOT NULL, owner TEXT NOT NULL, backend INTEGER NOT NULL,
            until TIMESTAMPTZ NOT NULL)
    """)


def m008_forgettings(connection: Connection) -> None:
    """What was forgotten and when, and the marks by which it is refused from then on.

    The marks are those of the embedded store: text is kept here as they are made of it, see `text.escaped`.
    """
    connection.execute("""
        CREATE TABLE forgettings (
            key UUID PRIMARY KEY, since TIMESTAMP NOT NULL, salt TEXT COLLATE "C" NOT NULL, remembered BOOLEAN NOT NULL,
            erased BOOLEAN NOT NULL, traces BIGINT NOT NULL);
        CREATE TABLE forgotten (
            mark UUID PRIMARY KEY, forgetting UUID NOT NULL, salt TEXT COLLATE "C" NOT NULL, since TIMESTAMP NOT NULL,
            remembered BOOLEAN NOT NULL);
        CREATE INDEX forgotten_at_once ON forgotten (forgetting);
        CREATE FUNCTION mark_of(salt TEXT, kind TEXT, name TEXT) RETURNS UUID
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
            SELECT left(encode(sha256(convert_to(salt || chr(31) || kind || chr(31) || name, 'UTF8')), 'hex'), 32)::UUID
        $$
    """)


def m009_deeds(connection: Connection) -> None:
    """What people did, each entry with the seal over it and those before."""
    connection.execute("""
        CREATE TABLE deeds (
            entry BIGINT PRIMARY KEY, timestamp TIMESTAMP NOT NULL, person TEXT NOT NULL, via TEXT NOT NULL,
            host TEXT NOT NULL, verb TEXT NOT NULL, task TEXT, outcome TEXT NOT NULL, details TEXT NOT NULL,
            seal TEXT NOT NULL, batch BIGINT NOT NULL)
    """)


MIGRATIONS: tuple[Step, ...] = (
    m001_places,
    m002_traces,
    m003_votes,
    m004_attempts,
    m005_people,
    m006_results,
    m007_processes,
    m008_forgettings,
    m009_deeds,
)


def migrate(connection: Connection, steps: Sequence[Step] = MIGRATIONS) -> None:
    """Nothing; the schema is this version's, or, where a step fails, what it was.

    Raises:
        StoreError: if a newer version of promptlabel has changed the schema.
    """
    if _missing(connection, steps):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            connection.execute(
                'CREATE TABLE IF NOT EXISTS migrations (name TEXT COLLATE "C" PRIMARY KEY,'
                " applied_at TIMESTAMPTZ DEFAULT now())"
            )
            for step in _missing(connection, steps):
                step(connection)
                connection.execute("INSERT INTO migrations (name) VALUES (%s)", [step.__name__])


def _missing(connection: Connection, steps: Sequence[Step]) -> list[Step]:
    found = connection.execute("SELECT to_regclass('migrations') IS NOT NULL").fetchone()
    rows = connection.execute("SELECT name FROM migrations").fetchall() if found and found[0] else []
    applied = {name for (name,) in rows}
    unknown = applied - {step.__name__ for step in steps}
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise StoreError(
            f"the store was written by a newer promptlabel (it has {names}): upgrade promptlabel"
        )
    return [step for step in steps if step.__name__ not in applied]
