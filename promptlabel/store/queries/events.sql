SELECT trace_id, timestamp, event, value, metadata FROM events ORDER BY trace_id, timestamp, event, key
