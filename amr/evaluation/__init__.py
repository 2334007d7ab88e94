"""Prediction files against annotations: ``score`` and ``compare``, and the one judge of plots and pages."""

from amr.evaluation.scores import Scores
from amr.evaluation.scoring import compare, score

__all__ = ["Scores", "compare", "score"]
