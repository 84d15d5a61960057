INSERT INTO reviews (event_id, trace_id, task, reviewer, action, timestamp, label, blind, seconds, lane, probability,
                     undoes, batch)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT DO NOTHING
