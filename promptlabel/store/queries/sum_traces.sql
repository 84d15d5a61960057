SELECT count(*), coalesce(bit_xor(md5_number(content_hash::VARCHAR || trace_id)), 0), count(*)
FROM traces WHERE batch >= $1
