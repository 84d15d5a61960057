CREATE OR REPLACE TEMP TABLE requests AS
WITH last AS (
    SELECT place, any_value(last_question) AS question,
           arg_max((value, metadata), (events.timestamp, event, value, metadata)) AS request
    FROM events JOIN conversations USING (place)
    WHERE event IN ('regenerated', 'requested', 'retried') GROUP BY place),
texts AS (
    SELECT place, question, text_of(coalesce(request[2] -> '$.prompt', request[1])) AS prompt FROM last)
SELECT place, concat(
    entry('rerequest_similarity', likeness(words(question), words(prompt))),
    entry('rerequest_changed', (pieces(question) <> pieces(prompt))::INT)) AS signals
FROM texts WHERE question IS NOT NULL AND prompt IS NOT NULL
