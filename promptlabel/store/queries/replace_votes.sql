UPDATE cast_votes SET
    status = replacing.status, label = replacing.label, confidence = replacing.confidence,
    distribution = replacing.distribution
FROM replacing_votes AS replacing
WHERE cast_votes.key = replacing.key
