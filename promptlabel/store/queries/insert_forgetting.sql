INSERT INTO forgettings (key, since, salt, remembered, erased, traces) VALUES ($1, $2, $3, $4, $5, 0)
ON CONFLICT DO NOTHING
