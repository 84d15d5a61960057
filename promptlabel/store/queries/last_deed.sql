SELECT entry, timestamp, person, via, host, verb, task, outcome, details, seal FROM deeds ORDER BY entry DESC LIMIT 1
