SELECT bit_xor(hash(traces)) FROM traces
UNION ALL
SELECT bit_xor(hash(events)) FROM events
UNION ALL
SELECT bit_xor(hash(signals)) FROM signals
UNION ALL
SELECT bit_xor(hash(cast_votes)) FROM cast_votes
UNION ALL
SELECT bit_xor(hash(rules)) FROM rules
UNION ALL
SELECT bit_xor(hash(attempts)) FROM attempts
UNION ALL
SELECT bit_xor(hash(gold)) FROM gold
UNION ALL
SELECT bit_xor(hash(reviews)) FROM reviews
UNION ALL
SELECT bit_xor(hash(deeds)) FROM deeds
UNION ALL
SELECT bit_xor(hash(fits)) FROM fits
UNION ALL
SELECT bit_xor(hash(posteriors)) FROM posteriors
UNION ALL
SELECT bit_xor(hash(picks)) FROM picks
UNION ALL
SELECT bit_xor(hash(states)) FROM states
UNION ALL
SELECT bit_xor(hash(ledger)) FROM ledger
UNION ALL
SELECT bit_xor(hash(losses)) FROM losses
UNION ALL
SELECT bit_xor(hash(migrations)) FROM migrations
UNION ALL
SELECT bit_xor(hash(forgettings)) FROM forgettings
UNION ALL
SELECT bit_xor(hash(forgotten)) FROM forgotten
