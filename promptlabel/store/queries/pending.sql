WITH wanted AS (SELECT place, sample::INTEGER AS sample FROM traces, range($samples) AS samples (sample)
    WHERE place BETWEEN $first AND $last),
     cast_already AS (
         SELECT place, sample FROM cast_votes
         WHERE place BETWEEN $first AND $last AND task = $task AND rule_hash = $rule_hash AND model_hash = $model_hash)
SELECT place, sample FROM wanted ANTI JOIN cast_already USING (place, sample)
ORDER BY place, sample
LIMIT $limit
