DELETE FROM cast_votes
USING arriving_signals AS arriving LEFT JOIN signals USING (place)
WHERE cast_votes.place = arriving.place AND cast_votes.request IS NULL AND cast_votes.raw IS NULL
  AND arriving.signals IS DISTINCT FROM signals.signals
