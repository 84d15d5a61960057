SELECT request, raw FROM cast_votes
WHERE request = ANY($requests::UUID[]) AND raw IS NOT NULL AND status IN ('vote', 'abstain')
