SELECT trace_id, task, lane, score, probability, reason, parts FROM picks
WHERE task = $task AND trace_id NOT IN (SELECT trace_id FROM decided WHERE task = $task)
ORDER BY position
