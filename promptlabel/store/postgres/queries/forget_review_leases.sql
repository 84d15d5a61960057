DELETE FROM review_leases WHERE trace_id IN (SELECT trace_id FROM leaving)
