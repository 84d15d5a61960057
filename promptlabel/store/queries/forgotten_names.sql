WITH asked AS (SELECT unnest($names::VARCHAR[]) AS name), salts AS (SELECT DISTINCT salt FROM forgettings)
SELECT DISTINCT name FROM asked CROSS JOIN salts
WHERE mark_of(salts.salt, $kind, name) IN (SELECT mark FROM forgotten WHERE NOT remembered)
