INSERT INTO gold
SELECT DISTINCT ON (trace_id, task, reviewer, timestamp)
       trace_id, task, label, reviewer, timestamp, blind, lane, probability, $1
FROM arriving_gold
ON CONFLICT DO NOTHING
