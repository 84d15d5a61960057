SELECT record, signals, content_hash FROM traces LEFT JOIN signals USING (place)
ORDER BY timestamp NULLS LAST, traces.trace_id
LIMIT $limit
