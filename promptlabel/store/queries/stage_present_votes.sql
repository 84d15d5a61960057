CREATE OR REPLACE TEMP TABLE present_votes AS
SELECT key, cast_votes.status
FROM cast_votes JOIN (SELECT key, md5_number_lower(trace_id) AS place FROM arriving_votes) USING (place, key)
