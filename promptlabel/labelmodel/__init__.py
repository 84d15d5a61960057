"""Votes in, calibrated class probabilities out: estimators that are ignorant of one another, and a gate."""

from promptlabel.labelmodel.model import LabelModel
from promptlabel.labelmodel.several_labels import SeveralLabels

__all__ = ["LabelModel", "SeveralLabels"]
