UPDATE fits SET report = $2 WHERE task = $1
