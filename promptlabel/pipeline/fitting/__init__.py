"""Votes and gold to labels."""
