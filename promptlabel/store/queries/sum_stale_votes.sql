SELECT count(*), coalesce(bit_xor(md5_number(key::VARCHAR)), 0), count(*) FROM stale_votes
