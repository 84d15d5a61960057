SELECT place, record, signals, replace(content_hash::VARCHAR, '-', '') FROM traces LEFT JOIN signals USING (place)
WHERE place BETWEEN $first AND $last AND place IN (SELECT unnest($places::UBIGINT[]))
