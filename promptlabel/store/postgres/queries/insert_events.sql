INSERT INTO events
SELECT DISTINCT ON (key) key, md5_number_lower(trace_id), trace_id, timestamp, event, value, metadata, $1
FROM arriving_events AS arriving
WHERE NOT EXISTS (SELECT FROM events WHERE events.key = arriving.key)
