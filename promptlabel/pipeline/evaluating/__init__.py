"""Frozen sets, audits, scores, gates."""
