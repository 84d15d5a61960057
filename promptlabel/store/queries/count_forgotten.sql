UPDATE forgettings SET traces = $2 WHERE key = $1::UUID
