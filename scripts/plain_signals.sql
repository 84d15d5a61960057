-- What somebody who needs these signals once would write: known events, a column a signal, no updates, no store.
CREATE OR REPLACE TABLE said AS
SELECT trace_id, timestamp, session_id, user_id, list_transform(messages, lambda m: m.role) AS roles,
       list_transform(messages, lambda m: m.content) AS contents,
       list_transform(messages, lambda m: m.timestamp) AS moments,
       list_transform(list_filter(messages, lambda m: m.role = 'user'), lambda m: m.content) AS turns
FROM traces;

CREATE OR REPLACE TABLE talk AS
WITH parts AS (
    SELECT *, len(roles) AS n, list_transform(turns, lambda t: list_distinct(regexp_extract_all(lower(t), '\w+'))) AS words,
           [epoch(moments[i]) - epoch(moments[i - 1]) for i in range(2, len(roles) + 1)] AS silences,
           [i for i in range(2, len(roles) + 1) if roles[i] <> roles[i - 1]] AS changes,
           list_transform(list_distinct(roles), lambda r:
               list_sum([length(contents[i]) for i in range(1, len(roles) + 1) if roles[i] = r])) AS written
    FROM said),
likeness AS (
    SELECT *, list_transform(list_zip(words, words[2:], true), lambda p: CASE WHEN least(len(p[1]), len(p[2])) >= 3
               THEN len(list_intersect(p[1], p[2])) / len(list_distinct(list_concat(p[1], p[2]))) ELSE 0 END) AS alike,
           [silences[i - 1] for i in changes] AS replies
    FROM parts)
SELECT trace_id, timestamp, session_id, user_id, turns[1] AS first_question, turns[-1] AS question, contents[-1] AS answer,
       greatest(timestamp, list_max(moments)) AS ended, n AS messages, 1 + len(changes) AS turns, len(list_distinct(roles)) AS senders,
       len(list_distinct(roles)) = 1 AS one_sided, list_min(written) / list_max(written) AS balance,
       list_sum(written) AS characters, roles[1] = roles[-1] AS opener_spoke_last,
       list_avg(list_transform(contents, lambda c: len(regexp_extract_all(c, '\S+')))) AS words_per_message,
       len(list_filter(contents, lambda c: contains(c, '?'))) AS questions,
       len(list_filter(contents, lambda c: regexp_matches(c,
           '(?i)\b(?:a*(?:ha){2,}h?|he(?:he)+|lo+l+|lmf?ao+|rofl)\b|[😂🤣😆😹]'))) AS laughter,
       epoch(list_max(moments)) - epoch(list_min(moments)) AS duration_seconds, list_max(silences) AS longest_silence,
       list_median(replies) AS reply_seconds_median, list_max(replies) AS reply_seconds_max,
       coalesce(list_max(alike), 0) AS follow_up_similarity, len(list_filter(alike, lambda a: a >= 0.5)) AS rephrased_turns,
       CASE WHEN list_max(silences) >= 3600 THEN list_max([silences[i - 1] for i in range(2, n + 1) if roles[i] = 'user'
           AND silences[i - 1] >= 3600 AND len([j for j in range(1, i) if roles[j] = 'user' AND len(list_intersect(
               regexp_extract_all(lower(contents[i]), '\w{4,}'), regexp_extract_all(lower(contents[j]), '\w{4,}')))
               >= 0.2 * len(list_distinct(list_concat(regexp_extract_all(lower(contents[i]), '\w{4,}'),
                                                      regexp_extract_all(lower(contents[j]), '\w{4,}'))))]) > 0])
           END / 3600 AS returned_after_hours
FROM likeness;

CREATE OR REPLACE TABLE after AS
WITH next AS (
    SELECT trace_id, timestamp, question, lead(timestamp) OVER s AS next_at, lead(first_question) OVER s AS next_question,
           list({'t': timestamp, 'q': first_question}) OVER (PARTITION BY user_id ORDER BY timestamp, trace_id
               ROWS BETWEEN 1 FOLLOWING AND 10 FOLLOWING) AS later
    FROM talk WINDOW s AS (PARTITION BY session_id ORDER BY timestamp, trace_id)),
worded AS (
    SELECT *, list_distinct(regexp_extract_all(lower(question), '\w+')) AS w,
           list_distinct(regexp_extract_all(lower(next_question), '\w+')) AS v FROM next)
SELECT trace_id, epoch(next_at) - epoch(timestamp) AS next_seconds,
       CASE WHEN least(len(w), len(v)) >= 3 THEN len(list_intersect(w, v)) / len(list_distinct(list_concat(w, v))) ELSE 0 END
           AS next_similarity,
       list_min([epoch(o.t) - epoch(timestamp) for o in later if o.t >= timestamp + INTERVAL 1 HOUR AND len(list_intersect(
           regexp_extract_all(lower(question), '\w{4,}'), regexp_extract_all(lower(o.q), '\w{4,}')))
           >= 0.2 * len(list_distinct(list_concat(regexp_extract_all(lower(question), '\w{4,}'),
                                                  regexp_extract_all(lower(o.q), '\w{4,}'))))]) / 3600 AS topic_returned_hours
FROM worded;

CREATE OR REPLACE TABLE acts AS
WITH e AS (
    SELECT trace_id, event, events.timestamp AS t, ended, value, metadata, try_cast(value AS DOUBLE) AS x
    FROM events JOIN talk USING (trace_id)),
each AS (
    SELECT trace_id, event, count(*) AS times, sum(x) AS total, epoch(min(t)) - epoch(any_value(ended)) AS after_seconds,
           arg_max(coalesce(x, 1), t) AS last
    FROM e GROUP BY trace_id, event),
pivoted AS (
    SELECT trace_id, map_from_entries(list({'k': event, 'v': {'n': times, 'total': total, 'after': after_seconds, 'last': last}}))
               AS by_event
    FROM each GROUP BY trace_id),
together AS (
    SELECT trace_id, count(*) FILTER (event = 'accepted') AS accepted, count(*) FILTER (event = 'rejected') AS rejected,
           max(t) FILTER (event = 'accepted') AS accepted_at, list(t) FILTER (event IN ('rejected', 'reverted')) AS taken_back,
           list(t) FILTER (event IN ('accepted', 'copied')) AS taken, list(t) FILTER (event = 'reverted') AS reverts,
           list(t) FILTER (event = 'shown') AS shown, list(t) FILTER (event IN ('accepted', 'rejected', 'copied')) AS decided,
           arg_max(x, t) FILTER (event = 'edited') AS edited_share, arg_max(value, t) FILTER (event = 'rated') AS rating,
           arg_max(metadata ->> '$.prompt', t) FILTER (event = 'regenerated') AS prompt,
           bool_or(t BETWEEN ended AND ended + INTERVAL 30 MINUTE) FILTER (event NOT IN ('shown', 'dwell')) AS used
    FROM e GROUP BY trace_id),
decision AS (SELECT *, list_min([d for d in decided if d >= list_min(shown)]) AS decided_at FROM together)
SELECT trace_id, by_event, accepted / nullif(accepted + rejected, 0) AS accepted_share,
       len([b for b in taken_back if b BETWEEN accepted_at AND accepted_at + INTERVAL 10 MINUTE]) = 0 AS kept,
       list_min(list_transform(reverts, lambda b: epoch(b) - epoch(list_max([a for a in taken if a <= b])))) / 60
           AS reverted_after_minutes,
       epoch(decided_at) - epoch(list_max([s for s in shown if s <= decided_at])) AS decision_seconds, edited_share,
       rating = '"up"' AS rating_share, NOT coalesce(used, false) AS abandoned, prompt
FROM decision JOIN pivoted USING (trace_id);

CREATE OR REPLACE TABLE plain_signals AS
SELECT talk.* EXCLUDE (timestamp, session_id, user_id, first_question, question, answer, ended), after.* EXCLUDE (trace_id),
       after.next_seconds <= 1800 AND after.next_similarity >= 0.5 AS asked_again, acts.* EXCLUDE (trace_id, prompt),
       len(list_intersect(list_distinct(regexp_extract_all(lower(question), '\w+')), regexp_extract_all(lower(prompt), '\w+')))
           / len(list_distinct(list_concat(regexp_extract_all(lower(question), '\w+'), regexp_extract_all(lower(prompt), '\w+'))))
           AS rerequest_similarity, prompt <> question AS rerequest_changed
FROM talk LEFT JOIN after USING (trace_id) LEFT JOIN acts USING (trace_id);
