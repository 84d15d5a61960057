CREATE OR REPLACE TEMP TABLE edits AS
WITH last AS (
    SELECT place, any_value(answer) AS answer, arg_max((value, metadata), (events.timestamp, value, metadata)) AS edit
    FROM events JOIN conversations USING (place) WHERE event = 'edited' GROUP BY place),
texts AS (
    SELECT place, number(edit[1]) AS share, edit[1] IN ('true', 'false') AS is_sign,
           text_of(coalesce(edit[2] -> '$.after', edit[1])) AS after,
           CASE WHEN json_exists(edit[2], '$.before') THEN text_of(edit[2] -> '$.before') ELSE answer END AS before
    FROM last),
logged AS (SELECT place, CASE WHEN share BETWEEN 0 AND 1 THEN share END AS share FROM texts WHERE share IS NOT NULL AND NOT is_sign),
compared AS (SELECT place, before, after FROM texts ANTI JOIN logged USING (place)
             WHERE before IS NOT NULL AND after IS NOT NULL AND (share IS NULL OR is_sign)),
counted AS (
    SELECT place, word, count(*) FILTER (is_old) AS old, count(*) FILTER (NOT is_old) AS new
    FROM (SELECT place, unnest(pieces(before)) AS word, true AS is_old FROM compared
          UNION ALL SELECT place, unnest(pieces(after)), false FROM compared)
    GROUP BY place, word)
SELECT place, entry('edited_share', share) AS signals FROM logged
UNION ALL
SELECT place, entry('edited_share', coalesce(1 - 2 * sum(least(old, new)) / sum(old + new), 0))
FROM compared LEFT JOIN counted USING (place) GROUP BY place
