CREATE OR REPLACE TEMP TABLE due AS
SELECT place FROM outdated JOIN traces USING (place)
WHERE hash(coalesce(user_id, session_id, trace_id)) % $parts = $part
