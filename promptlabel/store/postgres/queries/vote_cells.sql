WITH store_order AS (
    SELECT place, row_number() OVER (ORDER BY timestamp NULLS LAST, trace_id) - 1 AS row FROM traces)
SELECT row::INTEGER, position::INTEGER, sample, coalesce(array_position($labels::VARCHAR[]::TEXT[], label), 0) - 1
FROM cast_votes JOIN rules USING (task, rule_hash, model_hash) JOIN store_order USING (place)
WHERE task = $task AND status = 'vote'
