"""Does an encoder keep the contract of :class:`amr.encoders.base.Encoder`? For authors of encoders.

    python -m amr.encoders.conformance my_package.my_module:MyEncoder

or, in a test: ``assert not problems(MyEncoder())``.

What breaks here breaks silently elsewhere: frames that depend on their batch mates or on where a recording
was cut make features that cannot be reproduced.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from amr.arrays import Float32Array
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.checked import CheckedEncoder, wrong_array
from amr.encoders.running.blocks import block_frames
from amr.errors import AmrError, PluginError, number_of

Array = Float32Array

TOLERANCE = 1e-4  # of the largest value: rounding in float32, over a deep network
SHORT_TEXT, OTHER_TEXT = "a dog barks", "Regen fällt auf ein Blechdach, 3 cars pass!"
LONG_TEXT = "and then a dog barks " * 200


def problems(encoder: Encoder, *, tolerance: float = TOLERANCE) -> list[str]:
    """Every breach of the contract in one line each; empty where it is kept.

    Args:
        encoder: loaded.
        tolerance: how far values that must be equal may differ, as a share of the largest value.
    """
    seen = encoder if isinstance(encoder, CheckedEncoder) else CheckedEncoder(encoder, type(encoder).__name__)
    found = [problem for check in CHECKS for problem in breaches(check, seen, tolerance)]
    return list(dict.fromkeys(found))


def breaches(check: Check, encoder: Encoder, tolerance: float) -> Iterator[str]:
    """What one check finds, the type or the exception that ends it among that."""
    try:
        for problem in check(encoder, tolerance):
            yield f"{check.__name__.replace('_', ' ')}: {problem}"
    except PluginError as error:
        yield error.what


Check = Callable[[Encoder, float], Iterator[str]]


def probe_sound(identity: EncoderIdentity, frames: int, *, seed: int = 0) -> Array:
    """A stretch of ``frames`` frames: noise that changes all the time, ``(samples,)``."""
    count = identity.window_samples + (frames - 1) * identity.hop_samples
    rng = np.random.default_rng([seed, count])
    time_s = np.arange(count) / identity.sample_rate_hz
    loudness = 0.1 + 0.08 * np.sin(2 * np.pi * 0.9 * time_s + seed)
    tone = np.sin(2 * np.pi * (150.0 + 100.0 * time_s) * time_s)
    sound: Array = (loudness * (rng.standard_normal(count) + tone)).clip(-1.0, 1.0).astype(np.float32)
    return sound


def differ(found: Array, expected: Array, tolerance: float) -> str:
    """How two arrays differ; empty where they do not, up to the tolerance."""
    if found.shape != expected.shape:
        return f"shapes {found.shape} and {expected.shape}"
    largest = float(np.abs(found - expected).max(initial=0.0))
    scale = float(np.abs(expected).max(initial=0.0))
    if not largest <= tolerance * max(scale, 1e-12):
        return f"by {largest:.2g} where the largest value is {scale:.2g}"
    return ""


def wrong(array: Array, shape: tuple[int, ...]) -> str:
    """What is wrong with an array that should be finite float32 of a shape."""
    return wrong_array(array, shape) or ("" if np.isfinite(array).all() else "holds undefined values")


def identity_is_whole(encoder: Encoder, _: float) -> Iterator[str]:
    """The same each time, and back from JSON."""
    identity = encoder.identity
    if encoder.identity != identity or EncoderIdentity.from_json(identity.to_json()) != identity:
        yield "it is not the same the second time, or after a round trip through JSON"


def frames_have_their_shape(encoder: Encoder, _: float) -> Iterator[str]:
    """One frame and several, of sound and of silence; the samples are left as they were."""
    identity = encoder.identity
    for frames in (1, 2, 2 * block_frames(encoder) + 1):
        sound = np.stack([probe_sound(identity, frames), np.zeros_like(probe_sound(identity, frames))])
        before = sound.copy()
        found = wrong(encoder.encode_audio(sound), (2, frames, identity.dimension))
        if found:
            yield f"of {frames} frames, encode_audio {found}"
        if not np.array_equal(sound, before):
            yield "encode_audio changes the samples that it is given"


def frames_depend_on_their_window_alone(encoder: Encoder, tolerance: float) -> Iterator[str]:
    """A recording gives the same frames wherever it is cut, at the beginnings of blocks."""
    identity, block = encoder.identity, block_frames(encoder)
    total = 3 * block + max(1, block // 2)
    sound = probe_sound(identity, total)
    whole = encoder.encode_audio(sound[None])[0]
    for first, stop in ((0, block), (block, 3 * block), (2 * block, total)):
        start = first * identity.hop_samples
        end = start + identity.window_samples + (stop - first - 1) * identity.hop_samples
        difference = differ(encoder.encode_audio(sound[None, start:end])[0], whole[first:stop], tolerance)
        if difference:
            yield f"frames {first} to {stop - 1} alone and in the whole differ {difference}"


def frames_do_not_know_their_batch(encoder: Encoder, tolerance: float) -> Iterator[str]:
    """A stretch gives the same frames alone, among others, a second time and from another thread."""
    sounds = np.stack([probe_sound(encoder.identity, 2, seed=seed) for seed in range(3)])
    together = encoder.encode_audio(sounds)
    with ThreadPoolExecutor(2) as pool:
        apart = [job.result() for job in [pool.submit(encoder.encode_audio, s[None]) for s in sounds]]
    for number, frames in enumerate(apart):
        difference = differ(frames[0], together[number], tolerance)
        if difference:
            yield f"stretch {number} alone and among others differ {difference}"
    if not np.array_equal(encoder.encode_audio(sounds), together):
        yield "the same stretches give other frames the second time"


def sounds_differ(encoder: Encoder, tolerance: float) -> Iterator[str]:
    """Two different sounds have different frames."""
    first, second = (encoder.encode_audio(probe_sound(encoder.identity, 1, seed=s)[None]) for s in (1, 2))
    if not differ(first, second, tolerance):
        yield "two different sounds have the same frame"


def texts_have_their_shapes(encoder: Encoder, _: float) -> Iterator[str]:
    """Short, long and foreign texts; none at all."""
    size = encoder.identity.text_dimension
    if encoder.encode_text([]) != []:
        yield "no queries give something"
    for text in (SHORT_TEXT, OTHER_TEXT, LONG_TEXT, "a"):
        features = encoder.encode_text([text])[0]
        found = wrong(features.tokens, (len(features.tokens), size)) or wrong(features.pooled, (size,))
        if found:
            yield f"of {text[:20]!r}, encode_text {found}"


def texts_do_not_know_their_batch(encoder: Encoder, tolerance: float) -> Iterator[str]:
    """A query has the same vectors alone, among others, and twice; order is kept."""
    queries = [OTHER_TEXT, SHORT_TEXT, "a cat", OTHER_TEXT]
    together = encoder.encode_text(queries)
    if len(together) != len(queries):
        yield f"{len(queries)} queries give {len(together)} results"
        return
    for query, features in zip(queries, together, strict=True):
        [alone] = encoder.encode_text([query])
        difference = differ(features.tokens, alone.tokens, tolerance)
        difference = difference or differ(features.pooled, alone.pooled, tolerance)
        if difference:
            yield f"{query[:20]!r} alone and among others differ {difference}"
    if not differ(together[0].pooled, together[1].pooled, tolerance):
        yield "two different queries have the same vector"


def joint_space_takes_both(encoder: Encoder, tolerance: float) -> Iterator[str]:
    """Frames and queries meet in one space, each row by itself."""
    size = encoder.identity.joint_dimension
    frames = encoder.encode_audio(probe_sound(encoder.identity, 3)[None])[0]
    pooled = np.stack([features.pooled for features in encoder.encode_text([SHORT_TEXT, OTHER_TEXT])])
    sides: list[tuple[str, Callable[[Float32Array], Float32Array], Float32Array]] = [
        ("joint_audio", encoder.joint_audio, frames),
        ("joint_text", encoder.joint_text, pooled),
    ]
    for name, project, vectors in sides:
        joint = project(vectors)
        found = wrong(joint, (len(vectors), size)) or differ(project(vectors[:1]), joint[:1], tolerance)
        if found:
            yield f"{name} {found}"


def explanations_are_short(encoder: Encoder, _: float) -> Iterator[str]:
    """At most as many names as the caller wants."""
    pairs = encoder.explain(SHORT_TEXT, 2)
    if len(pairs) > 2 or not all(isinstance(name, str) and np.isfinite(weight) for name, weight in pairs):
        yield f"explain gives {pairs!r}, expected at most two names with their weights"


CHECKS: tuple[Check, ...] = (
    identity_is_whole,
    frames_have_their_shape,
    frames_depend_on_their_window_alone,
    frames_do_not_know_their_batch,
    sounds_differ,
    texts_have_their_shapes,
    texts_do_not_know_their_batch,
    joint_space_takes_both,
    explanations_are_short,
)


def main(arguments: list[str]) -> int:
    """Check the encoder that is named; 0 where it keeps the contract."""
    from amr.encoders.registry import load_encoder

    if len(arguments) != 1:
        sys.stderr.write("usage: python -m amr.encoders.conformance NAME|package.module:Class\n")
        return 2
    try:
        found = problems(load_encoder(arguments[0]))
    except PluginError as error:
        found = [error.what]
    except AmrError as error:
        sys.stderr.write(f"{error}\nhint: {error.hint}\n")
        return int(error.exit_code)
    for problem in found:
        sys.stdout.write(f"{problem}\n")
    sys.stdout.write(f"{arguments[0]}: {number_of(len(found), 'problem') if found else 'no problems'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
