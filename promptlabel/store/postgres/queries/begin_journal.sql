INSERT INTO journals (journal, owner, token, batch, segment, position) VALUES ($journal, $owner, 1, 0, 0, 0)
ON CONFLICT (journal) DO UPDATE SET token = journals.token + 1, owner = excluded.owner
RETURNING token, batch, segment, position
