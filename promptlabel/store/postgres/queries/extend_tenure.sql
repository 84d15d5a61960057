UPDATE tenures SET backend = pg_backend_pid(), until = now() + make_interval(secs => $seconds)
WHERE name = $name AND token = $token
RETURNING token
