INSERT INTO forgotten (mark, forgetting, salt, since, remembered)
SELECT DISTINCT mark, $1::UUID, $2, $3::TIMESTAMP, $4::BOOLEAN FROM arriving_marks
WHERE mark NOT IN (SELECT mark FROM forgotten)
