SELECT batch FROM journals WHERE journal = $journal AND token = $token
