SELECT count(*), coalesce(bit_xor(md5_number(concat_ws(chr(31), request, timestamp, cause))), 0), 0
FROM attempts WHERE batch >= $1
