"""From disagreement to people: scores, lanes, and a queue whose inclusion probabilities are known."""
