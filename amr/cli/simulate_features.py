"""``amr simulate --features``: the feature file that takes scenes as they are rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from amr import __version__
from amr.cli.extract_work import write_texts
from amr.cli.simulate_options import Product
from amr.encoders.device import choose_device
from amr.encoders.registry import load_encoder
from amr.encoders.threads import set_up_threads
from amr.errors import InputError
from amr.formats.features_output import Begin, choose_file, open_feature_output
from amr.formats.features_read import FeatureFile
from amr.formats.recipes import Scene, scene_line
from amr.simulation.annotate import annotate
from amr.simulation.features import FeatureSink
from amr.simulation.sources import Sources

STORE = "float16"


@contextmanager
def open_features(
    scenes: Sequence[Scene], sources: Sources, product: Product, target: Path
) -> Iterator[FeatureSink]:
    """A feature file that takes the recordings, with the text features of all their queries in it already.

    Raises:
        AmrError: the output is in the way or of another plan or encoder; the encoder cannot be had.
    """
    begin = Begin.RESUME if product.resume else Begin.FORCE if product.force else Begin.NEW
    recipe = hashlib.sha256("".join(map(scene_line, scenes)).encode("utf-8")).hexdigest()
    require_same_plan(choose_file(target, begin), begin, recipe)
    encoder_device = choose_device(product.device)
    encoder = load_encoder(product.encoder, device=encoder_device)
    with open_feature_output(
        target, identity_json=encoder.identity.to_json(), store=STORE, begin=begin
    ) as writer:
        writer.add_history(
            {
                "command": f"amr simulate --features --encoder {product.encoder}",
                "amr_version": __version__,
                "sha256": {"recipe": recipe},
            }
        )
        queries = (annotation.query for scene in scenes for annotation in annotate(scene))
        write_texts(writer, encoder, list(dict.fromkeys(queries)))
        set_up_threads(encoder, on_gpu=encoder_device != "cpu", workers=product.workers)
        yield FeatureSink(sources, encoder, writer)


def require_same_plan(path: Path, begin: Begin, recipe_sha256: str) -> None:
    """Refuse to go on with a feature file that another plan began."""
    if begin is not Begin.RESUME or not path.exists():
        return
    with FeatureFile(path) as present:
        history = present.history
    last = history[-1] if history and isinstance(history[-1], dict) else {}
    if history and last.get("sha256") != {"recipe": recipe_sha256}:
        raise InputError(
            "was made from another plan than this command draws; --resume goes on with the same command only",
            where=path,
            hint="repeat the first command's options and seed, or use another --features",
        )
