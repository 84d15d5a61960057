"""Persons and traces forgotten: what would go, what went, and where copies remain."""
