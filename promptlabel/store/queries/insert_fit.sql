INSERT OR REPLACE INTO fits (task, labels, fitted_at, chosen, report) VALUES ($1, $2, $3, $4, $5)
