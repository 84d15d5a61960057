INSERT INTO cast_votes
SELECT *, md5_number_lower(trace_id), $1 FROM arriving_votes ANTI JOIN present_votes USING (key)
