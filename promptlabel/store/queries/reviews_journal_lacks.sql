SELECT event_id, trace_id, task, reviewer, action, timestamp, label, blind, seconds, lane, probability, undoes
FROM reviews ANTI JOIN replayed.reviews AS ours USING (event_id)
ORDER BY arrival
