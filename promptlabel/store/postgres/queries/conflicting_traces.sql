WITH arriving AS (SELECT md5_number_lower(trace_id) AS place, trace_id, content_hash FROM arriving_traces)
SELECT arriving.trace_id FROM arriving JOIN traces USING (place)
WHERE arriving.content_hash <> traces.content_hash OR arriving.trace_id <> traces.trace_id
UNION
SELECT min(trace_id) FROM arriving
GROUP BY place HAVING count(DISTINCT (trace_id, content_hash)) > 1
ORDER BY trace_id
