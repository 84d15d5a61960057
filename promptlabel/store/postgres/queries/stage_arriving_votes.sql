CREATE OR REPLACE TEMP TABLE arriving_votes (
    key UUID, trace_id VARCHAR, task VARCHAR, rule_hash VARCHAR, model_hash VARCHAR, status VARCHAR,
    label VARCHAR, confidence FLOAT8, distribution VARCHAR, sample INTEGER, request UUID, raw VARCHAR,
    cause VARCHAR, rationale VARCHAR, place BIGINT)
