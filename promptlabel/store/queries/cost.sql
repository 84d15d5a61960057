SELECT rule, model, sum(usd), count(*) FROM attempts WHERE task = $task GROUP BY rule, model ORDER BY rule, model
