CREATE OR REPLACE TEMP TABLE arriving_gold (
    trace_id VARCHAR, task VARCHAR, label VARCHAR, reviewer VARCHAR, timestamp TIMESTAMP, blind BOOLEAN,
    lane VARCHAR, probability FLOAT8)
