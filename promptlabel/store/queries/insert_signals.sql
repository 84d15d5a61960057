INSERT OR REPLACE INTO signals
SELECT md5_number_lower(trace_id), trace_id, last(signals ORDER BY rowid), $1
FROM arriving_signals
GROUP BY trace_id
