DELETE FROM rules WHERE task = $1
