SELECT relation, sum(rows) FROM losses GROUP BY relation ORDER BY relation
