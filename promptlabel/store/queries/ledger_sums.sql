SELECT relation, sum(rows)::BIGINT, bit_xor(keys) FROM ledger GROUP BY relation
