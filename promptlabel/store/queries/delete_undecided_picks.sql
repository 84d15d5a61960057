DELETE FROM picks WHERE task = $1 AND trace_id NOT IN (SELECT trace_id FROM decided WHERE task = $1)
