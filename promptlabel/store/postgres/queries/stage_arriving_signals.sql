CREATE OR REPLACE TEMP TABLE arriving_signals (trace_id VARCHAR, signals VARCHAR, place BIGINT)
