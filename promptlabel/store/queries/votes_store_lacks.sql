SELECT ours.key
FROM replayed.cast_votes AS ours LEFT JOIN cast_votes AS stored USING (key)
WHERE stored.key IS NULL
   OR (stored.status IN ('malformed', 'error') AND ours.status NOT IN ('malformed', 'error'))
