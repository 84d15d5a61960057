SELECT count(*) FROM forgettings WHERE NOT remembered
