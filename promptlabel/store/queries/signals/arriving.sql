INSERT INTO arriving_signals
SELECT trace_id, concat('{', substr(concat(
    event_signals.signals, reactions.signals, edits.signals, requests.signals, session_signals.signals,
    conversations.signals), 2), '}') AS signals
FROM conversations SEMI JOIN due USING (place)
LEFT JOIN event_signals USING (place) LEFT JOIN reactions USING (place) LEFT JOIN edits USING (place)
LEFT JOIN requests USING (place) LEFT JOIN session_signals USING (place)
