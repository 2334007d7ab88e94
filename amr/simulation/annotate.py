"""What a scene's queries mean: annotations in the field's keys, from the recipe alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amr.formats.annotations import Annotation
from amr.formats.recipes import ForegroundLayer, Scene
from amr.moments import Span

TOUCHING_S = 1e-6


def annotate(scene: Scene) -> Iterator[Annotation]:
    """One annotation a query, in order of its first sound, then the absent ones with no window.

    Sounds of one query that touch or overlap are one moment. Known extra keys: ``fg_dB`` as in the released
    files where the scene asks for it, ``label`` where the source has one.
    """
    duration_s = int(scene.duration_s) if scene.duration_s.is_integer() else scene.duration_s
    layers: dict[int | str, list[ForegroundLayer]] = {}
    for layer in scene.foregrounds:
        if layer.qid is not None:
            layers.setdefault(layer.qid, []).append(layer)
    for qid, own in layers.items():
        yield Annotation(
            qid=qid,
            query=own[0].query or "",
            vid=scene.vid,
            duration_s=duration_s,
            windows=[list(rounded(moment, scene)) for moment in united(own)],
            extra=extra_keys(own, scene.level_keys),
        )
    for absent in scene.absent:
        extra = {"label": absent.label} if absent.label else {}
        yield Annotation(absent.qid, absent.query, scene.vid, duration_s, [], extra=extra)


def extra_keys(layers: list[ForegroundLayer], level_keys: bool) -> dict[str, Any]:
    """``fg_dB`` and ``label``."""
    extra: dict[str, Any] = {"fg_dB": layers[0].level_db} if level_keys else {}
    if layers[0].label:
        extra["label"] = layers[0].label
    return extra


def united(layers: list[ForegroundLayer]) -> list[Span]:
    """The moments that the layers cover together, sorted, none touching another."""
    moments: list[Span] = []
    for layer in sorted(layers, key=lambda layer: layer.start_s):
        if moments and layer.start_s <= moments[-1].end_s + TOUCHING_S:
            moments[-1] = Span(moments[-1].start_s, max(moments[-1].end_s, layer.end_s))
        else:
            moments.append(Span(layer.start_s, layer.end_s))
    return moments


def rounded(moment: Span, scene: Scene) -> Span:
    """A moment on the scene's grid, at least one step long and inside the recording.

    On the grid of 0.1 s both ends are rounded as in the released files.
    """
    step_s = scene.annotation_step_s
    start_s, end_s = on_grid(moment.start_s, step_s), on_grid(moment.end_s, step_s)
    if end_s <= start_s:
        end_s = on_grid(start_s + step_s, step_s)
    if end_s > scene.duration_s:
        end_s = scene.duration_s
        start_s = min(start_s, on_grid(max(0.0, end_s - step_s), step_s))
    return Span(start_s, end_s)


def on_grid(time_s: float, step_s: float) -> float:
    """The nearest point of a grid; for steps of 1, 0.1, 0.01 s and so on the correctly rounded decimal."""
    digits = next((n for n in range(7) if step_s == float(f"1e-{n}")), None)
    return round(time_s, digits) if digits is not None else round(round(time_s / step_s) * step_s, 6)
