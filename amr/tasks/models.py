"""What answers queries: a shipped model, a trained model's file, the sliding window, or a prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from amr.audio.files import AudioFile
from amr.audio.names import recording_id
from amr.encoders.base import Encoder, EncoderIdentity
from amr.encoders.registry import DEFAULT_ENCODER, checked, encoder_of, load_encoder
from amr.encoders.running.device import choose_device
from amr.encoders.stored import require_same_encoder, stored_identity
from amr.errors import InputError, UsageError
from amr.formats.features.base import FeatureReader
from amr.formats.queries import from_texts
from amr.retrieval.finders import Finder
from amr.retrieval.joining import JoiningFinder
from amr.retrieval.prior import PriorFinder, is_prior, prior
from amr.retrieval.recordings import RecordingFrames, length_only
from amr.retrieval.search import AnswerOptions, identified, prediction
from amr.retrieval.sentences import Sentences, StoredSentences
from amr.retrieval.window import default_options
from amr.retrieval.window_finder import WindowFinder
from amr.tasks.callbacks import ignore_progress
from amr.tasks.limits import with_limits
from amr.tasks.networks import AUTO, CURVES, SHIPPED, WINDOW, load_network, shipped_for
from amr.tasks.results import Moments

if TYPE_CHECKING:
    from amr.retrieval.trained.model import MomentModel

FEATURE_SUFFIXES = (".h5", ".hdf5")

Sound = str | Path | tuple[Any, float] | RecordingFrames
"""A file, ``(samples, rate_hz)`` with samples ``(n,)`` or ``(n, channels)``, or an encoded recording."""


@dataclass(frozen=True)
class ModelSettings:
    """How a model is run; what is left out is the model's own.

    Args:
        encoder: its name, or itself; left out: that of the features or of the model, else the default one.
        hop_s: seconds from frame to frame, for recordings.
        device: where networks run: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        compat: ``lighthouse`` repeats Lighthouse's attention mask, for its checkpoints.
        nms: trained models: drop moments that overlap a better one by more than this IoU.
        window: options of ``amr.retrieval.window.WindowOptions``, by name, for the window.
    """

    encoder: str | Encoder | None = None
    hop_s: float | None = None
    device: str = "auto"
    compat: str | None = None
    nms: float | None = None
    window: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """What answers queries; :func:`load_model` makes one.

    Args:
        name: as it was given: ``auto`` (until the features are known), ``best``, ``curves``, ``window``,
            ``prior:NAME``, or a file.
        settings: how it is run.
        network: the trained network, of models that are one.
    """

    name: str
    settings: ModelSettings
    network: MomentModel | None = None

    @property
    def is_prior(self) -> bool:
        """Whether a recording's length is all that it needs."""
        return is_prior(self.name)

    @overload
    def find(  # type: ignore[overload-overlap]  # a string is a sequence of strings, too
        self, query: str, sound: Sound, *, top_k: int = ..., min_score: float | None = ...
    ) -> Moments: ...

    @overload
    def find(
        self, query: Sequence[str], sound: Sound, *, top_k: int = ..., min_score: float | None = ...
    ) -> list[Moments]: ...

    def find(
        self,
        query: str | Sequence[str],
        sound: Sound,
        *,
        top_k: int = AnswerOptions.top_k,
        min_score: float | None = None,
    ) -> Moments | list[Moments]:
        """The moments of one recording that a sentence means, or, of several sentences, those of each.

        Args:
            query: a sentence, or several.
            sound: a file, samples and their rate in Hz, or what :meth:`encode` gives.
            top_k: moments a query, at most.
            min_score: moments below it are dropped; left out, at least one is found.

        Returns:
            Moments ``(start_s, end_s, score)`` by falling score, as ``amr predict`` writes them: seconds with
            three decimals, scores in [0, 1] with four.

        Raises:
            InputError: the sound cannot be read, or was encoded by another encoder; a query has no words.
            MissingError: something that the encoder or a decoder needs is not here.
        """
        queries = from_texts([query] if isinstance(query, str) else query, "query")
        if not queries:
            return []
        recording = sound if isinstance(sound, RecordingFrames) else self.encode(sound)
        if self._finder.needs_frames:
            self._require_takes(recording)
        queries = with_limits(queries, self._finder, None if self.is_prior else self.encoder)
        kept, length_s = AnswerOptions(top_k=top_k, min_score=min_score), recording.duration_s
        [answers] = self._finder.find([(recording, queries)])
        found = [
            Moments(prediction(identified(each, recording.vid, number, False), answer, length_s, kept))
            for number, (each, answer) in enumerate(zip(queries, answers, strict=True), start=1)
        ]
        return found[0] if isinstance(query, str) else found

    def encode(self, sound: str | Path | tuple[Any, float]) -> RecordingFrames:
        """One recording as frames ``(frames, dimension)``, to be searched more than once.

        Args:
            sound: a file, or samples ``(n,)`` or ``(n, channels)`` in [-1, 1] and their rate in Hz.

        Raises:
            InputError: there is no such file; it is empty, cut, no audio, or holds undefined samples.
            MissingError: something that the encoder or a decoder needs is not here.
        """
        from amr.tasks.sources import audio_source, encode_samples, length_of_samples, read_length_s

        device = self.settings.device
        if isinstance(sound, tuple):
            return (
                length_of_samples(*sound) if self.is_prior else encode_samples(*sound, self.encoder, device)
            )
        path = Path(sound)
        if path.suffix.lower() in FEATURE_SUFFIXES:
            raise InputError("holds features of many recordings", where=path, hint="amr.search searches them")
        file = AudioFile(recording_id(path.name), path)
        if self.is_prior:
            return length_only(file.id, read_length_s(path))
        with audio_source([file], self.encoder, device, None, ignore_progress) as source:
            return source.load(file.id)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of recordings; loaded when it is first needed.

        Raises:
            UsageError: the model does not say which one it was trained on, and none was named.
        """
        encoder = choose_encoder(self, None, has_audio=True)
        if encoder is None:
            raise unknown_encoder()
        return encoder

    @cached_property
    def _finder(self) -> Finder:
        if self.is_prior:
            return self.finder(None, None)
        model = self.settled(self.encoder)
        model.require_fit(None, self.encoder)
        return model.joining(model.finder(self.encoder, None), self.encoder)

    def _require_takes(self, recording: RecordingFrames) -> None:
        """Refuse what was encoded by another encoder; both are printed."""
        made_by = "no encoder that is known" if recording.encoder is None else recording.encoder.to_json()
        if recording.encoder != self.encoder.identity:
            raise InputError(
                f"its frames are from {made_by}, the model takes {self.encoder.identity.to_json()}",
                where=recording.vid,
                hint="encode it with this model",
            )

    def settled(self, encoder: Encoder | None) -> Model:
        """This model; for ``auto``, the shipped one that takes an encoder's features, else the window."""
        if self.name != AUTO:
            return self
        name, settings = shipped_for(encoder), self.settings
        return replace(self, name=name, network=load_network(name, settings.device, settings.compat))

    @property
    def trained_on(self) -> EncoderIdentity | None:
        """The encoder that a network was trained on, where its file says and it takes no other."""
        if self.network is None or not self.network.config.audio:
            return None
        from amr.models.model_file import UNKNOWN_ENCODER

        return None if self.network.identity.name == UNKNOWN_ENCODER else self.network.identity

    def require_fit(self, features: FeatureReader | None, encoder: Encoder | None) -> None:
        """Refuse features or an encoder that a network was not trained on; where it is unknown, other sizes.

        Raises:
            InputError: they do not fit; both are printed.
        """
        if self.network is None:
            return
        if features is not None:
            wanted, stored = self.network.identity, stored_identity(features)
            if stored is None and not self.network.config.audio and encoder is None:
                stored = EncoderIdentity("unknown", "", 0, 0, 0, features.dimension, 0, 0)
            if stored is None and self.network.config.audio and features.dimension != wanted.dimension:
                stored = EncoderIdentity("unknown", "", 0, 0, 0, features.dimension, wanted.text_dimension, 0)
            if stored is not None:
                self.network.require_encoder(stored, features.name)
        if encoder is not None:
            self.network.require_encoder(encoder.identity, "--encoder")

    def joining(self, finder: Finder, encoder: Encoder | None) -> Finder:
        """The finder, with sentences of several sounds taken apart where that measures better.

        It was measured on ``yamnet`` with ``best`` and the window, of whose 521 kinds of sound the stronger
        wins; ``curves`` sees the same similarity. A network of a file is asked as it was trained to be.
        """
        is_measured = encoder is not None and encoder.identity.name == DEFAULT_ENCODER
        return JoiningFinder(finder) if is_measured and self.name in (SHIPPED, CURVES, WINDOW) else finder

    def finder(self, encoder: Encoder | None, features: FeatureReader | None) -> Finder:
        """What finds moments with this model.

        Args:
            encoder: of recordings and queries; None where it is not known, or not needed.
            features: where queries' vectors may be stored.

        Raises:
            UsageError: settings are given to a model that has none of that kind.
        """
        nms, window = self.settings.nms, self.settings.window
        if self.network is None and nms is not None:
            raise UsageError("--nms is an option of trained models")
        similarity = None
        if encoder is not None:
            similarity = WindowFinder(encoder, replace(default_options(encoder.identity.name), **window))
        if self.name == WINDOW and similarity is not None:
            return similarity
        if window:
            raise UsageError("--fraction, --threshold, --filter and --gap are options of --model window")
        if self.network is None:
            return PriorFinder(prior(self.name))
        from amr.retrieval.trained.finder import TrainedFinder

        return TrainedFinder(self.network, sentences_of(similarity, features), similarity, nms)


def load_model(
    name: str | Path = SHIPPED,
    *,
    device: str = "auto",
    encoder: str | Encoder | None = None,
    hop_s: float | None = None,
    compat: str | None = None,
    nms: float | None = None,
    window: Mapping[str, float] | None = None,
) -> Model:
    """A model, ready to search.

    Args:
        name: ``best`` (comes with amr, for ``yamnet``), ``curves`` (comes with amr, for any encoder),
            ``window`` (similarity in a sliding window), ``prior:whole``, ``prior:middle``, ``prior:first``,
            ``prior:tiles``, or a trained model's file (``.safetensors``, or ``.ckpt`` of Lighthouse or the
            DCASE baseline); ``auto``: that of the first three which fits what is searched.
        device: where networks run: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        encoder: by name, as ``package.module:Class``, or the encoder itself; left out: the one of the model
            or of the features, else ``yamnet``.
        hop_s: seconds from frame to frame, for recordings; left out: the model's or the encoder's own.
        compat: ``lighthouse`` repeats Lighthouse's attention mask, for its checkpoints.
        nms: trained models: drop moments that overlap a better one by more than this IoU.
        window: the window's ``fraction``, ``threshold``, ``filter_s`` and ``gap_s``, where they are to be
            others than its own.

    Raises:
        UsageError: there is no such model, device, or ``compat``.
        InputError: the file is no model, or damaged.
        MissingError: there is no such GPU here.
    """
    settings = ModelSettings(encoder, hop_s, device, compat, nms, dict(window or {}))
    return Model(str(name), settings, load_network(str(name), device, compat))


def choose_encoder(model: Model, features: FeatureReader | None, *, has_audio: bool) -> Encoder | None:
    """The encoder that the model's settings name, or that of the features, or that of the model.

    Returns:
        None where nothing says which one made the features that a network takes.

    Raises:
        InputError: the features were made by another encoder; both identities are printed.
    """
    name, hop_s = model.settings.encoder, model.settings.hop_s
    known = (stored_identity(features) if features is not None else None) or model.trained_on
    if known is None and name is None and model.network is not None and model.network.config.audio:
        return None
    device = choose_device(model.settings.device) if has_audio else "cpu"
    if name is not None and not isinstance(name, str):
        encoder = checked(name)
    elif known is not None and name in (None, known.name) and hop_s in (None, known.hop_s):
        encoder = encoder_of(known, device=device)
    else:
        encoder = load_encoder(name or DEFAULT_ENCODER, hop_s=hop_s, device=device)
    if features is not None:
        require_same_encoder(features, encoder.identity)
    return encoder


def sentences_of(similarity: WindowFinder | None, features: FeatureReader | None) -> Sentences:
    """Sentences through the encoder, or, without one, those that lie beside the features."""
    if similarity is not None:
        return similarity.sentences
    if features is None:
        raise unknown_encoder()
    return StoredSentences(features)


def unknown_encoder() -> UsageError:
    """The error for sound and a model that does not say what frames it takes."""
    hint = "name it with --encoder"
    return UsageError("the model does not say which encoder it was trained on", hint=hint)
