SELECT traces.trace_id
FROM traces
LEFT JOIN signals USING (place)
LEFT JOIN (SELECT place, max(batch) AS batch FROM events GROUP BY place) AS newest USING (place)
WHERE signals.batch IS NULL OR greatest(traces.batch, newest.batch) > signals.batch
ORDER BY traces.timestamp NULLS LAST, traces.trace_id
