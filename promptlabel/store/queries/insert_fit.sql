INSERT INTO fits (task, labels, fitted_at, chosen, report) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (task) DO UPDATE SET
    labels = excluded.labels, fitted_at = excluded.fitted_at, chosen = excluded.chosen, report = excluded.report
