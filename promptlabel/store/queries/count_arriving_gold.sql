SELECT count(*) FROM arriving_gold
