INSERT INTO leaving
WITH marked AS (SELECT mark FROM forgotten WHERE forgetting = $1::UUID AND NOT remembered),
named AS (
    SELECT trace_id FROM traces
    UNION SELECT trace_id FROM events
    UNION SELECT trace_id FROM signals
    UNION SELECT trace_id FROM cast_votes
    UNION SELECT trace_id FROM gold
    UNION SELECT trace_id FROM reviews
    UNION SELECT trace_id FROM posteriors
    UNION SELECT trace_id FROM picks)
SELECT trace_id FROM named WHERE mark_of($2, 'trace', trace_id) IN (SELECT mark FROM marked)
UNION SELECT trace_id FROM traces WHERE mark_of($2, 'user', user_id) IN (SELECT mark FROM marked)
UNION SELECT trace_id FROM traces WHERE mark_of($2, 'session', session_id) IN (SELECT mark FROM marked)
