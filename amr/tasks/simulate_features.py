"""The feature file that takes the scenes of a simulation as they are rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amr import __version__
from amr.encoders.registry import load_encoder
from amr.encoders.running.device import choose_device
from amr.encoders.running.threads import set_up_threads
from amr.errors import InputError
from amr.formats.features.output import Begin, choose_file, open_feature_output
from amr.formats.features.read import FeatureFile
from amr.formats.recipes import scene_line
from amr.simulation.annotate import annotate
from amr.simulation.features import FeatureFileSink
from amr.simulation.plan import ScenePlan
from amr.tasks.extract.work import write_texts

STORE = "float16"


@contextmanager
def open_feature_sink(
    plan: ScenePlan, target: Path, begin: Begin, encoder_name: str, device: str, workers: int | None
) -> Iterator[FeatureFileSink]:
    """A feature file that takes the recordings, with the text features of all their queries in it already.

    Raises:
        AmrError: the output is in the way or of another plan or encoder; the encoder cannot be had.
    """
    recipe = hashlib.sha256("".join(map(scene_line, plan.scenes)).encode("utf-8")).hexdigest()
    require_same_plan(choose_file(target, begin), begin, recipe)
    device = choose_device(device)
    encoder = load_encoder(encoder_name, device=device)
    with open_feature_output(
        target, identity_json=encoder.identity.to_json(), store=STORE, begin=begin
    ) as writer:
        writer.add_history(
            {
                "command": f"amr simulate --features --encoder {encoder_name}",
                "amr_version": __version__,
                "sha256": {"recipe": recipe},
            }
        )
        queries = (annotation.query for scene in plan.scenes for annotation in annotate(scene))
        write_texts(writer, encoder, list(dict.fromkeys(queries)))
        threads = set_up_threads(encoder, on_gpu=device != "cpu", workers=workers)
        try:
            yield FeatureFileSink(plan.sources, encoder, writer)
        finally:
            threads.restore()


def require_same_plan(path: Path, begin: Begin, recipe_sha256: str) -> None:
    """Refuse to go on with a feature file that another plan began."""
    if begin is not Begin.RESUME or not path.exists():
        return
    with FeatureFile(path) as present:
        history = present.history
    last = history[-1] if history and isinstance(history[-1], dict) else {}
    if history and last.get("sha256") != {"recipe": recipe_sha256}:
        raise InputError(
            "was made from another plan than this command draws; --resume continues the same command only",
            where=path,
            hint="repeat the first command's options and seed, or use another --features",
        )
