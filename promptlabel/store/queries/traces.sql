SELECT record, signals, replace(content_hash::VARCHAR, '-', '') FROM traces LEFT JOIN signals USING (place)
ORDER BY timestamp NULLS LAST, traces.trace_id
LIMIT $limit
