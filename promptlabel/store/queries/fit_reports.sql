SELECT task, report FROM fits
