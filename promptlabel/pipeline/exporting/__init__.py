"""Labels to training data, and what became of it."""
