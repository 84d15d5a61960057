SELECT count(*) FROM arriving_traces
