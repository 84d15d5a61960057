DELETE FROM cast_votes
WHERE key IN (SELECT key FROM dropping_votes) AND status IN ('malformed', 'error')
