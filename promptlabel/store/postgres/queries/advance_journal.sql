UPDATE journals SET batch = $batch, segment = $segment, position = $position
WHERE journal = $journal AND token = $token
RETURNING nextval('batches')
