SELECT count(*), coalesce(bit_xor(md5_number(key::VARCHAR)), 0), count(*)
FROM cast_votes
WHERE request IS NULL AND raw IS NULL AND place IN (
    SELECT md5_number_lower(arriving.trace_id)
    FROM arriving_signals AS arriving LEFT JOIN signals ON signals.place = md5_number_lower(arriving.trace_id)
    WHERE arriving.signals IS DISTINCT FROM signals.signals)
