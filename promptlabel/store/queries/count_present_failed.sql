SELECT count(*) FROM present_votes WHERE status IN ('malformed', 'error')
