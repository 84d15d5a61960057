SELECT trace_id, task, label, reviewer, timestamp, blind, lane, probability
FROM gold WHERE task = $task ORDER BY trace_id, timestamp, reviewer
