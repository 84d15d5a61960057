CREATE OR REPLACE TEMP TABLE arriving_traces (
    trace_id VARCHAR, timestamp TIMESTAMP, category VARCHAR, session_id VARCHAR, user_id VARCHAR,
    content_hash UUID, record VARCHAR)
