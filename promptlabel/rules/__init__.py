"""Rules: what people write in `rules/<task>/`, checked, and turned into questions and code votes."""
