CREATE OR REPLACE TEMP TABLE arriving_events (
    key UUID, trace_id VARCHAR, timestamp TIMESTAMP, event VARCHAR, value VARCHAR, metadata VARCHAR)
