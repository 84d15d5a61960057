SELECT labels, fitted_at, chosen, report FROM fits WHERE task = $1
