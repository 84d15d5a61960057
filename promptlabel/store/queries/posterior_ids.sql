SELECT trace_id FROM posteriors WHERE task = $1 ORDER BY position
