WITH free AS (
    SELECT wanted.trace_id, coalesce(mine.place, min(seats.place)) AS place
    FROM unnest($ids::TEXT[], $places::INTEGER[]) AS wanted (trace_id, places)
    LEFT JOIN review_leases AS mine
        ON mine.task = $task AND mine.trace_id = wanted.trace_id AND mine.reviewer = $reviewer
    CROSS JOIN generate_series(0, wanted.places - 1) AS seats (place)
    LEFT JOIN review_leases AS other
        ON other.task = $task AND other.trace_id = wanted.trace_id AND other.place = seats.place
        AND other.reviewer <> $reviewer AND other.until > now()
    WHERE other.trace_id IS NULL
    GROUP BY wanted.trace_id, mine.place)
INSERT INTO review_leases (task, trace_id, place, reviewer, until)
SELECT $task, trace_id, place, $reviewer, now() + make_interval(secs => $seconds) FROM free
ON CONFLICT (task, trace_id, place) DO UPDATE SET reviewer = excluded.reviewer, until = excluded.until
RETURNING trace_id
