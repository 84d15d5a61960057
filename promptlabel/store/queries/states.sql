SELECT name, value FROM states
