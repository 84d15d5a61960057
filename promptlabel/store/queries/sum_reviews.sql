SELECT count(*), coalesce(bit_xor(md5_number(event_id)), 0), 0
FROM reviews WHERE batch >= $1
