SELECT trace_id FROM leaving
