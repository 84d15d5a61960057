INSERT INTO traces
SELECT md5_number_lower(trace_id) AS place, trace_id, any_value(timestamp), any_value(category),
       any_value(session_id), any_value(user_id), any_value(content_hash), any_value(record), $1
FROM arriving_traces
GROUP BY trace_id
ORDER BY place
ON CONFLICT DO NOTHING
