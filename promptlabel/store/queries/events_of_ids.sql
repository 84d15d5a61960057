SELECT trace_id, timestamp, event, value, metadata FROM events
WHERE place IN (SELECT md5_number_lower(unnest($ids::VARCHAR[])))
ORDER BY trace_id, timestamp, event, key
