INSERT INTO signals
SELECT place, trace_id, signals, $1::BIGINT FROM arriving_signals ORDER BY place
ON CONFLICT (place) DO UPDATE SET signals = excluded.signals, batch = excluded.batch
