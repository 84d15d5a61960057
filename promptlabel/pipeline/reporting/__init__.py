"""What a project says of itself: the report's figures, and metrics."""
