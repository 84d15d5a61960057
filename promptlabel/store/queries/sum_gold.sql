SELECT count(*), coalesce(bit_xor(md5_number(concat_ws(chr(31), trace_id, task, label, reviewer, timestamp))), 0), count(*)
FROM gold WHERE batch >= $1
