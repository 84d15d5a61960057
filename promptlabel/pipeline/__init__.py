"""The shell that joins stages, models and store: rooms of verbs, one module a verb, one function that does it."""
