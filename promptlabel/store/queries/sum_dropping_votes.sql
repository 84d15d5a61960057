SELECT count(*), coalesce(bit_xor(md5_number(key::VARCHAR)), 0), count(*) FILTER (request IS NULL AND raw IS NULL)
FROM cast_votes
WHERE key IN (SELECT key FROM dropping_votes) AND status IN ('malformed', 'error')
