SELECT 1 FROM tenures WHERE name = $name AND token = $token FOR SHARE
