UPDATE cast_votes SET
    status = arriving.status, label = arriving.label, confidence = arriving.confidence,
    distribution = arriving.distribution, request = arriving.request, raw = arriving.raw, cause = arriving.cause,
    rationale = arriving.rationale
FROM arriving_votes AS arriving
WHERE cast_votes.key = arriving.key
  AND cast_votes.status IN ('malformed', 'error') AND arriving.status IN ('vote', 'abstain')
