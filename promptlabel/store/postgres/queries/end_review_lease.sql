DELETE FROM review_leases WHERE task = $1 AND trace_id = $2 AND reviewer = $3
