CREATE OR REPLACE TEMP TABLE arriving_picks (
    position BIGINT, trace_id VARCHAR, lane VARCHAR, score DOUBLE, probability DOUBLE, reason VARCHAR,
    parts VARCHAR)
