CREATE OR REPLACE TEMP TABLE involved AS
WITH known AS (SELECT place, session_id, coalesce(user_id, session_id) AS person FROM traces),
asked AS (SELECT session_id, person FROM known SEMI JOIN outdated USING (place))
SELECT place FROM known
WHERE place IN (SELECT place FROM outdated)
   OR session_id IN (SELECT session_id FROM asked WHERE session_id IS NOT NULL)
   OR person IN (SELECT person FROM asked WHERE person IS NOT NULL)
