CREATE OR REPLACE TEMP TABLE session_signals AS
WITH followed AS (
    SELECT place, timestamp, last_question, session_id,
           lead(timestamp) OVER in_session AS next_at, lead(first_question) OVER in_session AS next_question,
           list({'moment': timestamp, 'asked': first_question}) OVER by_person AS later
    FROM conversations
    WHERE timestamp IS NOT NULL AND person IS NOT NULL
    WINDOW in_session AS (PARTITION BY session_id ORDER BY timestamp, trace_id),
           by_person AS (PARTITION BY person ORDER BY timestamp, trace_id
                         ROWS BETWEEN 1 FOLLOWING AND 10 FOLLOWING)),
worded AS (
    SELECT *, CASE WHEN session_id IS NOT NULL THEN seconds(timestamp, next_at) END AS next_seconds,
           words(coalesce(last_question, '')) AS said, words(coalesce(next_question, '')) AS said_next,
           list_filter(later, lambda one: one.moment >= timestamp + INTERVAL 1 HOUR) AS hours_later
    FROM followed),
compared AS (
    SELECT *, CASE WHEN next_seconds IS NULL THEN NULL
                   WHEN least(len(said), len(said_next)) >= 3 THEN likeness(said, said_next) ELSE 0 END AS next_similarity,
           CASE WHEN len(hours_later) = 0 THEN [] ELSE list_filter(hours_later, lambda one:
               likeness(topic(last_question), topic(one.asked)) >= 0.2) END AS returns
    FROM worded)
SELECT place, concat(
    entry('next_seconds', next_seconds),
    entry('next_similarity', next_similarity),
    entry('asked_again', CASE WHEN session_id IS NOT NULL
        THEN coalesce(next_seconds <= 1800 AND next_similarity >= 0.5, false)::INT END),
    entry('topic_returned_hours', coalesce(seconds(timestamp, list_min(list_transform(returns, lambda one: one.moment))) / 3600, 0))
    ) AS signals
FROM compared
