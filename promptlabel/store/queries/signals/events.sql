CREATE OR REPLACE TEMP TABLE event_signals AS
WITH ours AS (
    SELECT place, event, value, events.timestamp, ended_at
    FROM events JOIN conversations USING (place)),
named AS (
    SELECT place, event, '' AS text, count(*) AS times, sum(number(value)) AS total, min(timestamp) AS first,
           arg_max(coalesce(number(value), 1), (timestamp, value)) AS last, any_value(ended_at) AS ended_at
    FROM ours GROUP BY place, event),
texts AS (
    SELECT DISTINCT place, event, text_of(value) AS text
    FROM ours WHERE regexp_full_match(text_of(value), '[\p{L}\p{N}_]{1,20}')),
entries AS (
    SELECT place, event, text, concat(
        entry_of(event, '', last), entry_of(event, '_count', times), entry_of(event, '_total', total),
        entry_of(event, '_after_seconds', seconds(ended_at, first))) AS entry
    FROM named
    UNION ALL
    SELECT place, event, text, entry_of(event, '_' || text, 1) FROM texts)
SELECT place, string_agg(entry, '' ORDER BY event, text) AS signals FROM entries GROUP BY place
