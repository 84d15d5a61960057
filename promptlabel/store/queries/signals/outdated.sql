CREATE OR REPLACE TEMP TABLE outdated AS
WITH known AS (
    SELECT traces.place, session_id, coalesce(user_id, session_id) AS person, traces.batch,
           signals.batch AS signals_batch
    FROM traces LEFT JOIN signals USING (place)),
newest AS (SELECT place, max(batch) AS batch FROM events GROUP BY place),
unseen AS (SELECT session_id, person FROM known WHERE signals_batch IS NULL)
SELECT place
FROM known LEFT JOIN newest USING (place)
WHERE signals_batch IS NULL OR newest.batch > signals_batch
   OR session_id IN (SELECT session_id FROM unseen WHERE session_id IS NOT NULL)
   OR person IN (SELECT person FROM unseen WHERE person IS NOT NULL)
ORDER BY place
