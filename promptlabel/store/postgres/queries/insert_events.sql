INSERT INTO events
SELECT DISTINCT ON (key) key, md5_number_lower(trace_id), trace_id, timestamp, event, value, metadata, $1::BIGINT
FROM arriving_events
ON CONFLICT DO NOTHING
