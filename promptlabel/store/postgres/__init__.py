"""The shared home of the store: PostgreSQL, several processes and machines at once."""
