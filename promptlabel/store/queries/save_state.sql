INSERT OR REPLACE INTO states (name, value) VALUES ($1, $2)
