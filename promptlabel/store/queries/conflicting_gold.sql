SELECT arriving_gold.trace_id FROM arriving_gold JOIN gold USING (trace_id, task, reviewer, timestamp)
WHERE arriving_gold.label <> gold.label
UNION
SELECT trace_id FROM arriving_gold
GROUP BY trace_id, task, reviewer, timestamp HAVING count(DISTINCT label) > 1
ORDER BY trace_id
