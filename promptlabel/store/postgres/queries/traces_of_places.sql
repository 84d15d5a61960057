SELECT place, record, signals, replace(content_hash::VARCHAR, '-', '') FROM traces LEFT JOIN signals USING (place)
WHERE place = ANY($places)
