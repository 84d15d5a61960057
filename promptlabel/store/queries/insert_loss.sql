INSERT INTO losses (batch, relation, rows) VALUES ($1, $2, $3)
