SELECT count(*) FROM arriving_events
