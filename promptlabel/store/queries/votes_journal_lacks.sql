WITH differing AS (
    SELECT key, trace_id, task, rule_hash, model_hash, status, label, confidence, distribution, sample, request, raw, cause,
       rationale
    FROM cast_votes WHERE request IS NOT NULL OR raw IS NOT NULL
    EXCEPT
    SELECT key, trace_id, task, rule_hash, model_hash, status, label, confidence, distribution, sample, request, raw, cause,
       rationale
    FROM replayed.cast_votes)
SELECT * FROM differing
WHERE status NOT IN ('malformed', 'error')
   OR key NOT IN (SELECT key FROM replayed.cast_votes WHERE status NOT IN ('malformed', 'error'))
