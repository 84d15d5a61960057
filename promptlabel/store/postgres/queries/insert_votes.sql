INSERT INTO cast_votes
SELECT *, $1::BIGINT FROM arriving_votes ORDER BY place, key
ON CONFLICT (place, key) DO UPDATE SET
    status = excluded.status, label = excluded.label, confidence = excluded.confidence,
    distribution = excluded.distribution, request = excluded.request, raw = excluded.raw, cause = excluded.cause,
    rationale = excluded.rationale
WHERE cast_votes.status IN ('malformed', 'error') AND excluded.status IN ('vote', 'abstain')
