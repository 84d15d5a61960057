DELETE FROM posteriors WHERE trace_id IN (SELECT trace_id FROM leaving)
