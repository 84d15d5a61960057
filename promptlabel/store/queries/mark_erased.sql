UPDATE forgettings SET erased = TRUE WHERE key = $1::UUID
