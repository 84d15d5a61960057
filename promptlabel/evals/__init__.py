"""Frozen eval sets, scores of labelers on them, unbiased estimates from the audit lane, other tools' formats."""
