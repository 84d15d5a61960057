INSERT INTO traces
SELECT DISTINCT ON (place) place, trace_id, timestamp, category, session_id, user_id, content_hash, record, $1::BIGINT
FROM (SELECT md5_number_lower(trace_id) AS place, * FROM arriving_traces) AS arriving
ORDER BY place
ON CONFLICT DO NOTHING
