DELETE FROM cast_votes WHERE key IN (SELECT key FROM stale_votes)
