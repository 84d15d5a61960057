SELECT request, task, rule, model, timestamp, seconds, cause, input_tokens, output_tokens, cached_tokens, usd FROM replayed.attempts
EXCEPT ALL
SELECT request, task, rule, model, timestamp, seconds, cause, input_tokens, output_tokens, cached_tokens, usd FROM attempts
