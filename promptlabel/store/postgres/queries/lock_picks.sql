SELECT picks.trace_id, wanted.places
FROM picks JOIN unnest($ids::TEXT[], $places::INTEGER[]) WITH ORDINALITY AS wanted (trace_id, places, turn)
    USING (trace_id)
WHERE picks.task = $task AND wanted.places > (
    SELECT count(*) FROM (
        SELECT reviewer FROM review_leases AS leased
        WHERE leased.task = $task AND leased.trace_id = picks.trace_id AND until > now()
        UNION
        SELECT reviewer FROM reviews AS given
        WHERE given.task = $task AND given.trace_id = picks.trace_id AND label IS NOT NULL AND lane IS DISTINCT FROM 'probe'
          AND NOT EXISTS (SELECT FROM reviews AS later WHERE later.undoes = given.event_id)) AS others
    WHERE reviewer <> $reviewer)
ORDER BY turn
LIMIT $count
FOR UPDATE OF picks SKIP LOCKED
