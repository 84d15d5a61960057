SELECT count(*), coalesce(bit_xor(md5_number(key::VARCHAR)), 0), count(*)
FROM events WHERE batch >= $1
