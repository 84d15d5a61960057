SELECT coalesce(sum(usd), 0.0), count(*) FROM attempts
