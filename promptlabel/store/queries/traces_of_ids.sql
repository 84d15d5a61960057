SELECT record, signals, content_hash FROM traces LEFT JOIN signals USING (place)
WHERE place IN (SELECT md5_number_lower(unnest($ids::VARCHAR[])))
ORDER BY timestamp NULLS LAST, traces.trace_id
LIMIT $limit
