INSERT INTO cast_votes
SELECT *, md5_number_lower(trace_id), $1 FROM arriving_votes
ON CONFLICT (key) DO UPDATE SET
    status = excluded.status, label = excluded.label, confidence = excluded.confidence,
    distribution = excluded.distribution, request = excluded.request, raw = excluded.raw,
    cause = excluded.cause, rationale = excluded.rationale
WHERE cast_votes.status IN ('malformed', 'error') AND excluded.status IN ('vote', 'abstain')
