SELECT coalesce(cause, 'unknown'), count(*)
FROM votes
WHERE task = $task AND status IN ('malformed', 'error')
GROUP BY 1
