"""Votes in, calibrated class probabilities out: estimators that are ignorant of one another, and a gate."""

from promptlabel.labelmodel.model import LabelModel

__all__ = ["LabelModel"]
