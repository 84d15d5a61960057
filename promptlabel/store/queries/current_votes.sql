SELECT rule, kind, model, key, votes.trace_id, task, rule_hash, model_hash, status, label, confidence,
       distribution, sample, request, raw, cause, rationale
FROM votes LEFT JOIN traces USING (place)
WHERE task = $task AND ($rule::VARCHAR IS NULL OR rule = $rule)
ORDER BY position, timestamp NULLS LAST, votes.trace_id, sample
