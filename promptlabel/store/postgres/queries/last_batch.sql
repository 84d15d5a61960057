SELECT last_value FROM batches, pg_advisory_xact_lock($lock)
