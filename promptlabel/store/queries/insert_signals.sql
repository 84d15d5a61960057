INSERT OR REPLACE INTO signals
SELECT md5_number_lower(trace_id), trace_id, signals, $1 FROM arriving_signals
