"""The official evaluator's metrics file for two files."""

from __future__ import annotations

import logging

from amr.errors import InputError
from amr.evaluation.files import EvaluationSettings, match_files
from amr.evaluation.sets import dataset_names, mixture_remark
from amr.formats.scoring import Source, read_answers, read_truth
from amr.metrics import official_json
from amr.metrics.evaluators import evaluate_officially
from amr.metrics.official import OfficialStopError

log = logging.getLogger("amr")


def official_text(
    predictions: Source,
    annotations: Source,
    *,
    qvhighlights: bool = False,
    partial: bool = False,
    pool: bool = False,
) -> str:
    """The official evaluator's metrics file, byte for byte, faults and all.

    Arguments as of :func:`amr.evaluation.scoring.score`; ``pool`` keeps quiet about a mixture of datasets,
    which is scored as one either way.

    Raises:
        InputError: files are wrong or do not match, or the official evaluator crashes on them.
    """
    truth = read_truth(annotations, with_labels=True)
    answers = read_answers(predictions, with_curves=True)
    settings = EvaluationSettings(qvhighlights=qvhighlights, partial=partial)
    matched = match_files(answers, truth, settings, official=True)
    names = dataset_names(truth, None)
    try:
        text = official_json.official_text(evaluate_officially(matched.shared))
    except OfficialStopError as stop:
        raise InputError(
            f"the official evaluator stops here with {stop}",
            where=matched.answer_where(stop.answer),
            hint="without --official the files are scored where that makes sense",
        ) from stop
    if len(set(names)) > 1 and not pool:
        log.warning(mixture_remark(names, truth, "the official evaluator scores them as one"))
    return text
