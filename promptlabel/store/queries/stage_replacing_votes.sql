CREATE OR REPLACE TEMP TABLE replacing_votes (
    key UUID, status VARCHAR, label VARCHAR, confidence FLOAT8, distribution VARCHAR)
