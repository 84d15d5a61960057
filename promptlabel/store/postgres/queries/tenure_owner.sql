SELECT owner, extract(epoch FROM until - now())::FLOAT8 FROM tenures WHERE name = $name
