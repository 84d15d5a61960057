CREATE OR REPLACE TEMP TABLE reactions AS
WITH ours AS (
    SELECT place, event, value, metadata, events.timestamp AS moment, ended_at, answer IS NOT NULL AS is_answered
    FROM events JOIN conversations USING (place)),
gathered AS (
    SELECT place, count(*) FILTER (event = 'accepted') AS accepted, count(*) FILTER (event = 'rejected') AS rejected,
           max(moment) FILTER (event = 'accepted') AS accepted_at,
           list(moment) FILTER (event IN ('rejected', 'reverted')) AS taken_back,
           list(moment) FILTER (event IN ('accepted', 'copied')) AS taken,
           list(moment) FILTER (event = 'reverted') AS reverts,
           list(moment) FILTER (event = 'shown') AS shown,
           list(moment) FILTER (event IN ('accepted', 'rejected', 'copied')) AS decided,
           arg_max((event, value, metadata), (moment, event, value, metadata))
               FILTER (event IN ('rated', 'thumbs', 'feedback')) AS rating,
           CASE WHEN bool_and(is_answered AND ended_at IS NOT NULL) THEN NOT coalesce(bool_or(moment BETWEEN ended_at AND ended_at + INTERVAL 30 MINUTE) FILTER (event NOT IN
               ('shown', 'viewed', 'opened', 'dwell', 'left', 'closed', 'abandoned', 'dismissed')), false) END AS abandoned
    FROM ours GROUP BY place),
rated AS (
    SELECT *, rating[1] AS name, number(rating[2]) AS stars, rating[2] IN ('true', 'false') OR rating[1] = 'thumbs' AS is_sign,
           lower(trimmed(text_of(rating[2]))) AS word,
           number(coalesce(rating[3] -> '$.min', '1')) AS least_stars, number(rating[3] -> '$.max') AS most_stars,
           list_min([moment for moment in decided if moment >= list_min(shown)]) AS decided_at
    FROM gathered)
SELECT place, concat(
    entry('accepted_share', accepted / nullif(accepted + rejected, 0)),
    entry('kept', CASE WHEN accepted_at IS NOT NULL THEN
        (coalesce(len([moment for moment in taken_back if moment BETWEEN accepted_at AND accepted_at + INTERVAL 10 MINUTE]), 0) = 0)::INT END),
    entry('reverted_after_minutes', list_min(list_transform(reverts, lambda back:
        seconds(list_max([moment for moment in taken if moment <= back]), back))) / 60),
    entry('decision_seconds', seconds(list_max([moment for moment in shown if moment <= decided_at]), decided_at)),
    entry('abandoned', abandoned::INT),
    entry('rating_share', CASE
        WHEN word IN ('up', 'good', 'like', 'liked', 'positive', 'yes', 'helpful', '👍') THEN 1
        WHEN word IN ('down', 'bad', 'dislike', 'disliked', 'negative', 'no', 'unhelpful', '👎') THEN 0
        WHEN is_sign THEN (stars > 0)::INT
        WHEN stars BETWEEN least_stars AND most_stars THEN (stars - least_stars) / nullif(most_stars - least_stars, 0) END)
    ) AS signals
FROM rated
