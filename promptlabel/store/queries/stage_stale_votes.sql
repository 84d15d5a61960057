CREATE OR REPLACE TEMP TABLE stale_votes AS
SELECT key FROM cast_votes
WHERE request IS NULL AND raw IS NULL AND place IN (
    SELECT md5_number_lower(arriving.trace_id)
    FROM arriving_signals AS arriving LEFT JOIN signals ON signals.place = md5_number_lower(arriving.trace_id)
    WHERE arriving.signals IS DISTINCT FROM signals.signals)
