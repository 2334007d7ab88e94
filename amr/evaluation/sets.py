"""A ground truth that mixes datasets, taken apart: a figure over a mixture is a figure of nothing."""

from __future__ import annotations

from collections import Counter

from amr.evaluation.files import MatchedFiles, shown
from amr.formats.scoring import SET_KEY, AnswerFile, TruthFile
from amr.metrics.mixture import qid_forms


def dataset_names(truth: TruthFile, key: str | None) -> list[str]:
    """Which dataset each record of a ground truth is of.

    By ``key``; without one by ``dataset`` where every record has it, else by the form of the qids. One name
    for all: the file is one dataset, as far as one can see.
    """
    if key is not None or names_its_sets(truth):
        return [f"{key or SET_KEY} {name}" for name in truth.sets]
    return qid_forms(truth.columns.qids, truth.columns.vids)


def names_its_sets(truth: TruthFile) -> bool:
    """Whether the ground truth itself says which dataset each record is of."""
    return all(name is not None for name in truth.sets)


def mixture_remark(names: list[str], truth: TruthFile, treatment: str) -> str:
    """What there is to say about a mixture."""
    counted = ", ".join(f"{name} ({count})" for name, count in Counter(names).items())
    return f"{truth.columns.name}: mixes datasets: {counted}: {treatment}"


def set_files(matched: MatchedFiles, names: list[str]) -> dict[str, tuple[AnswerFile, TruthFile]]:
    """Both files by dataset, in order of appearance.

    Predictions go where their query is; those without one, and sets without an answer, are left out
    (:func:`left_out`).

    Args:
        matched: the whole files.
        names: the dataset of each record of the ground truth.
    """
    name_of_query = {
        query: name
        for query, name in zip(matched.matching.truth_query.tolist(), names, strict=True)
        if query >= 0
    }
    answered = [name_of_query.get(query) for query in matched.matching.answer_query.tolist()]
    found = {}
    for name in dict.fromkeys(names):
        answer_records = [record for record, owner in enumerate(answered) if owner == name]
        truth_records = [record for record, owner in enumerate(names) if owner == name]
        if answer_records:
            found[name] = (matched.answers.take(answer_records), matched.truth.take(truth_records))
    return found


def left_out(matched: MatchedFiles, names: list[str], kept: list[str]) -> list[str]:
    """What :func:`set_files` leaves out under ``--partial``, a sentence each."""
    only, columns = matched.matching.only_answers, matched.answers.columns
    lines = [f"{columns.name}: query in this file only: {shown(only)}: {len(only)} left out"] if only else []
    absent = [name for name in dict.fromkeys(names) if name not in kept]
    return lines + [f"{columns.name}: no prediction for {name}: left out" for name in absent]
