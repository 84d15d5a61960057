SELECT trace_id FROM traces
WHERE trace_id IN (SELECT unnest($traces::VARCHAR[])) OR user_id IN (SELECT unnest($users::VARCHAR[]))
   OR session_id IN (SELECT unnest($sessions::VARCHAR[])) OR timestamp < $before::TIMESTAMP
ORDER BY trace_id
