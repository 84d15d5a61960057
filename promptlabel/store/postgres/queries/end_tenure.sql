UPDATE tenures SET until = now() - interval '1 second' WHERE name = $name AND token = $token RETURNING token
