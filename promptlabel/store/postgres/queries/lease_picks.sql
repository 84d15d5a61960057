WITH asked AS (
    SELECT trace_id, turn FROM unnest($ids::TEXT[]) WITH ORDINALITY AS asked (trace_id, turn)),
free AS (
    SELECT asked.trace_id, turn, coalesce(mine.place, min(places.place)) AS place
    FROM asked
    LEFT JOIN review_leases AS mine
        ON mine.task = $task AND mine.trace_id = asked.trace_id AND mine.reviewer = $reviewer
    CROSS JOIN generate_series(0, $places - 1) AS places (place)
    LEFT JOIN review_leases AS other
        ON other.task = $task AND other.trace_id = asked.trace_id AND other.place = places.place
        AND other.reviewer <> $reviewer AND other.until > now()
    WHERE other.trace_id IS NULL
    GROUP BY asked.trace_id, turn, mine.place
    ORDER BY turn
    LIMIT $count)
INSERT INTO review_leases (task, trace_id, place, reviewer, until)
SELECT $task, trace_id, place, $reviewer, now() + make_interval(secs => $seconds) FROM free
ON CONFLICT (task, trace_id, place) DO UPDATE SET reviewer = excluded.reviewer, until = excluded.until
RETURNING trace_id
