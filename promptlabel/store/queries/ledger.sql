SELECT batch, relation, rows, keys, unjournaled, chain FROM ledger ORDER BY batch, relation
