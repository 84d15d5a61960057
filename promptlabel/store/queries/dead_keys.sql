SELECT DISTINCT key FROM votes WHERE task = $task AND status IN ('malformed', 'error')
