SELECT votes.trace_id, task, rule, model, status, coalesce(cause, 'unknown'), raw
FROM votes LEFT JOIN traces USING (place)
WHERE task = $task AND status IN ('malformed', 'error')
ORDER BY position, timestamp NULLS LAST, votes.trace_id, sample
