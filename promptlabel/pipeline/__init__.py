"""The shell that joins stages, models and store: one module a verb, each with one function that does it."""
