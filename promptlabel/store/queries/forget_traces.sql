DELETE FROM traces
WHERE place IN (SELECT md5_number_lower(trace_id) FROM leaving) AND trace_id IN (SELECT trace_id FROM leaving)
