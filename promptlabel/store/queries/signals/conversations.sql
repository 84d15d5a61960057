CREATE OR REPLACE TEMP TABLE conversations AS
WITH logged AS (
    SELECT place, trace_id, timestamp, session_id, coalesce(user_id, session_id) AS person,
           from_json(record, '{"input": "VARCHAR", "output": "VARCHAR",
               "messages": [{"role": "VARCHAR", "content": "VARCHAR", "timestamp": "VARCHAR"}]}') AS record
    FROM traces SEMI JOIN outdated USING (place)),
spoken AS (
    SELECT * EXCLUDE (record), coalesce(record.messages, list_filter(
        [{'role': 'user', 'content': record.input, 'timestamp': NULL},
         {'role': 'assistant', 'content': record.output, 'timestamp': NULL}],
        lambda one: one.content IS NOT NULL)) AS said
    FROM logged),
by_part AS (
    SELECT * EXCLUDE (said), list_transform(said, lambda one: one.role) AS roles,
           list_transform(said, lambda one: one.content) AS contents,
           list_transform(said, lambda one: one.timestamp::TIMESTAMP) AS moments
    FROM spoken),
with_asker AS (
    SELECT *, len(roles) AS messages, len(list_distinct(roles)) AS senders, len(list_filter(moments, lambda moment: moment IS NULL)) = 0 AS is_timed,
           CASE WHEN list_contains(roles, 'user') THEN 'user'
                ELSE coalesce(list_filter(roles, lambda role: role <> 'system')[1], 'user') END AS asker
    FROM by_part),
with_turns AS (
    SELECT *, [contents[i] for i in range(1, messages + 1) if roles[i] = asker] AS turns,
           [i for i in range(2, messages + 1) if roles[i] <> roles[i - 1]] AS changes,
           list_transform(list_distinct(roles), lambda role:
               list_sum([length(contents[i]) for i in range(1, messages + 1) if roles[i] = role])) AS written,
           CASE WHEN is_timed THEN [seconds(moments[i - 1], moments[i]) for i in range(2, messages + 1)] END AS silences
    FROM with_asker),
compared AS (
    SELECT *, CASE WHEN len(turns) < 2 THEN [] ELSE list_transform(
               list_zip(list_transform(turns, lambda one: words(one)), list_transform(turns[2:], lambda one: words(one)), true),
               lambda pair: CASE WHEN least(len(pair[1]), len(pair[2])) >= 3 THEN likeness(pair[1], pair[2]) ELSE 0 END)
           END AS likenesses,
           [silences[i - 1] for i in changes] AS replies,
           CASE WHEN list_max(silences) >= 3600 THEN
               [silences[i - 1] for i in range(2, messages + 1) if CASE WHEN roles[i] = asker AND silences[i - 1] >= 3600
                   THEN len([j for j in range(1, i) if roles[j] = asker
                             AND likeness(topic(contents[j]), topic(contents[i])) >= 0.2]) > 0 ELSE false END]
           END AS returns
    FROM with_turns)
SELECT place, trace_id, timestamp, session_id, person, turns[1] AS first_question, turns[-1] AS last_question,
       CASE WHEN roles[-1] <> asker THEN contents[-1] END AS answer,
       greatest(timestamp, list_max(moments)) AS ended_at,
       CASE WHEN messages = 0 THEN '' ELSE concat(
           entry('messages', messages),
           entry('turns', 1 + len(changes)),
           entry('senders', senders),
           entry('one_sided', (senders = 1)::INT),
           entry('balance', CASE WHEN senders > 1 AND list_max(written) > 0 THEN list_min(written) / list_max(written) ELSE 0 END),
           entry('characters', list_sum(written)),
           entry('opener_spoke_last', (roles[1] = roles[-1])::INT),
           entry('words_per_message', list_avg(list_transform(contents, lambda one: len(pieces(one))))),
           entry('questions', len(list_filter(contents, lambda one: contains(one, '?')))),
           entry('laughter', len(list_filter(contents, lambda one: is_laughing(one)))),
           entry('duration_seconds', CASE WHEN is_timed THEN seconds(list_min(moments), list_max(moments)) END),
           entry('longest_silence', CASE WHEN is_timed THEN coalesce(list_max(silences), 0) END),
           entry('reply_seconds_median', CASE WHEN is_timed THEN list_median(replies) END),
           entry('reply_seconds_max', CASE WHEN is_timed THEN list_max(replies) END),
           entry('follow_up_similarity', coalesce(list_max(likenesses), 0)),
           entry('rephrased_turns', len(list_filter(likenesses, lambda share: share >= 0.5))),
           entry('returned_after_hours', CASE WHEN is_timed THEN coalesce(list_max(returns), 0) / 3600 END)) END AS signals
FROM compared
