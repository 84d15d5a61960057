INSERT INTO forgotten (mark, forgetting, salt, since, remembered)
SELECT mark_of($2, 'trace', trace_id), $1::UUID, $2, $3::TIMESTAMP, FALSE FROM leaving
WHERE mark_of($2, 'trace', trace_id) NOT IN (SELECT mark FROM forgotten)
