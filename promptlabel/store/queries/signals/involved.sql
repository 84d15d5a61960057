CREATE OR REPLACE TEMP TABLE involved AS
WITH known AS (SELECT place, session_id, coalesce(user_id, session_id) AS person FROM traces),
asked AS (SELECT place, session_id, person FROM known SEMI JOIN due USING (place))
SELECT place FROM asked
UNION SELECT place FROM known SEMI JOIN asked USING (session_id)
UNION SELECT place FROM known SEMI JOIN asked USING (person)
