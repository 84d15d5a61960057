SELECT prob
FROM (SELECT position, unnest(probs) AS prob, generate_subscripts(probs, 1) AS label
      FROM posteriors WHERE task = $1)
ORDER BY position, label
