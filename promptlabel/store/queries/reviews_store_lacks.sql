SELECT event_id FROM replayed.reviews AS ours ANTI JOIN reviews USING (event_id)
