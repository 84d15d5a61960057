DELETE FROM posteriors WHERE task = $1
