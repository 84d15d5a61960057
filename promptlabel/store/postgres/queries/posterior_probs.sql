SELECT probs FROM posteriors WHERE task = $1 ORDER BY position
