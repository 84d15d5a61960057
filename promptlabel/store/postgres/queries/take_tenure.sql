INSERT INTO tenures (name, token, owner, backend, until)
VALUES ($name, 1, $owner, pg_backend_pid(), now() + make_interval(secs => $seconds))
ON CONFLICT (name) DO UPDATE SET
    token = tenures.token + 1, owner = excluded.owner, backend = excluded.backend, until = excluded.until
WHERE tenures.until < now() OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = tenures.backend)
RETURNING token
