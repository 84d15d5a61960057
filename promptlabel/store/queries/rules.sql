SELECT task, rule, kind, model, rule_hash, model_hash FROM rules WHERE task = $task ORDER BY position
