INSERT INTO tenures (name, token, owner, backend, until)
VALUES ($name, 1, $owner, pg_backend_pid(), now())
ON CONFLICT (name) DO UPDATE SET
    token = tenures.token + 1, owner = excluded.owner, backend = excluded.backend, until = excluded.until
RETURNING token
