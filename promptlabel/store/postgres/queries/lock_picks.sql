SELECT trace_id FROM picks
WHERE task = $task AND trace_id = ANY($ids::TEXT[]) AND $places > (
    SELECT count(*) FROM review_leases AS other
    WHERE other.task = picks.task AND other.trace_id = picks.trace_id
      AND other.reviewer <> $reviewer AND other.until > now())
ORDER BY array_position($ids::TEXT[], trace_id)
LIMIT $count
FOR UPDATE SKIP LOCKED
