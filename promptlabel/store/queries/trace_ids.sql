SELECT trace_id FROM traces ORDER BY timestamp NULLS LAST, trace_id
