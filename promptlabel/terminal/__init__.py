"""The edge to people at a terminal: tables, progress and errors, or JSON for machines."""
