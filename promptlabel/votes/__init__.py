"""Votes: from a model's answer to a vote, calibration over a batch, and the analysis of a vote matrix."""
