DELETE FROM gold WHERE trace_id IN (SELECT trace_id FROM leaving)
