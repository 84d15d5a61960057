INSERT INTO forgotten (mark, forgetting, salt, since, remembered)
WITH salts AS (SELECT DISTINCT salt FROM forgettings),
named AS (
    SELECT trace_id, 'user' AS kind, user_id AS name FROM arriving_traces
    UNION ALL SELECT trace_id, 'session', session_id FROM arriving_traces),
refused AS (
    SELECT mark_of(found.salt, 'trace', trace_id) AS mark, forgetting, found.salt, since
    FROM named CROSS JOIN salts JOIN forgotten AS found ON found.mark = mark_of(salts.salt, kind, name)
    WHERE NOT remembered)
SELECT DISTINCT ON (mark) mark, forgetting, salt, since, FALSE FROM refused
WHERE mark NOT IN (SELECT mark FROM forgotten)
