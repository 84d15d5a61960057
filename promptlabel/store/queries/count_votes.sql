WITH counted AS (
    SELECT rule_hash, model_hash, status, count(*) AS votes FROM cast_votes WHERE task = $task GROUP BY rule_hash, model_hash, status)
SELECT rule, model, status, votes
FROM rules LEFT JOIN counted USING (rule_hash, model_hash)
WHERE task = $task
ORDER BY position, status
