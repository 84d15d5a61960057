SELECT record, signals, replace(content_hash::VARCHAR, '-', '') FROM traces LEFT JOIN signals USING (place)
WHERE place IN (SELECT md5_number_lower(unnest($ids::VARCHAR[])))
ORDER BY timestamp NULLS LAST, traces.trace_id
LIMIT $limit
