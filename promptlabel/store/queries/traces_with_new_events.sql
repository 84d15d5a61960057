SELECT trace_id FROM traces SEMI JOIN outdated USING (place)
ORDER BY timestamp NULLS LAST, trace_id
