SELECT key, since, salt, remembered,
       (SELECT count(*) FROM forgotten WHERE forgotten.forgetting = forgettings.key), erased, traces
FROM forgettings ORDER BY since, key
