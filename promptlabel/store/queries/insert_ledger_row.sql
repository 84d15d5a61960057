INSERT INTO ledger (batch, relation, rows, keys, unjournaled, segment, position, chain)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
