SELECT place, record, signals, content_hash FROM traces LEFT JOIN signals USING (place)
WHERE place BETWEEN $first AND $last AND place IN (SELECT unnest($places::UBIGINT[]))
