SELECT trace_id, task, lane, score, probability, reason, parts FROM picks WHERE task = $task ORDER BY position
