INSERT INTO picks
SELECT $task, position + (SELECT coalesce(max(position) + 1, 0) FROM picks WHERE task = $task),
       trace_id, lane, score, probability, reason, parts
FROM arriving_picks
WHERE trace_id NOT IN (SELECT trace_id FROM picks WHERE task = $task)
