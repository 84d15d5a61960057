SELECT place, sample
FROM traces CROSS JOIN generate_series(0, $samples - 1) AS samples (sample)
WHERE place BETWEEN $first AND $last AND NOT EXISTS (
    SELECT FROM cast_votes
    WHERE cast_votes.place = traces.place AND cast_votes.sample = samples.sample
      AND task = $task AND rule_hash = $rule_hash AND model_hash = $model_hash)
ORDER BY place, sample
LIMIT $limit
