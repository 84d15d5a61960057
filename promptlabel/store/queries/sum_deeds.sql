SELECT count(*), coalesce(bit_xor(md5_number(seal)), 0), count(*)
FROM deeds WHERE batch >= $1
