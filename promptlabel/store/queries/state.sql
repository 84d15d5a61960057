SELECT value FROM states WHERE name = $name
