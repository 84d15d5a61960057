SELECT batch, chain, segment, position FROM ledger ORDER BY batch DESC, relation DESC LIMIT 1
