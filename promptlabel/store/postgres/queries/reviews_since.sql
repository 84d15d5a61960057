SELECT arrival, event_id, trace_id, task, reviewer, action, timestamp, label, blind, seconds, lane, probability, undoes
FROM reviews WHERE task = $task AND arrival > $arrival ORDER BY arrival
