CREATE OR REPLACE TEMP TABLE arriving_picks (
    position BIGINT, trace_id VARCHAR, lane VARCHAR, score FLOAT8, probability FLOAT8, reason VARCHAR,
    parts VARCHAR)
