"""What an author of rules sees: checks, trials, what a rule does, proposals."""
