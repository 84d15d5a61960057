SELECT count(*) FROM traces
