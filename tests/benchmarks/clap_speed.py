"""Seconds of audio per second: ``clap`` and ``clap-dense`` beside laion-clap's own API, in one process.

    pip install -c constraints-clap.txt ".[clap]"
    python tests/benchmarks/clap_speed.py --threads 2 --rounds 5

Weights are random, of the published size. Each round runs the package's ``get_audio_embedding_from_data`` on
one window of 1 s at a time, then ours on the same windows, then the dense mode, then a matrix product as a
probe of the machine; ratios are medians over rounds. Times are processor time where everything runs on the
processor, so that busy neighbours count less, and wall time on a device.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import clap_published as published  # noqa: E402  # the tests' folder is on the path from here on

from amr.encoders.clap.htsat import NUM_STEPS, count_operations  # noqa: E402
from amr.encoders.clap.laion import ClapDenseEncoder, ClapEncoder  # noqa: E402

RATE_HZ = 48_000
PROBE_SIZE = 2048


def package_api(encoder: ClapEncoder) -> Callable[[np.ndarray], np.ndarray]:
    """laion-clap's own call for audio in memory, on our weights; its constructor would fetch RoBERTa."""
    from amr.encoders.clap.laion_package import import_package, package_model

    package = import_package()
    module = package.CLAP_Module.__new__(package.CLAP_Module)
    torch.nn.Module.__init__(module)
    module.enable_fusion, module.model_cfg = False, {"audio_cfg": {}}
    module.model = package_model(encoder.weights, encoder.device)
    return lambda windows: module.get_audio_embedding_from_data(list(windows))


def clock(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    start = clock(device)
    work()
    return clock(device) - start


def probe(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a square matrix product."""
    a = torch.randn(PROBE_SIZE, PROBE_SIZE, device=device, dtype=dtype)
    repeats = 4 if device.type == "cpu" else 200
    took = seconds(device, lambda: [a @ a for _ in range(repeats)])
    return 2 * PROBE_SIZE**3 * repeats / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=4, help="windows of 1 s a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--without-package", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        tensors = published.laion_tensors(published.PUBLISHED_AUDIO, published.PUBLISHED_TEXT_OF_DEPTH_1, 512)
        weights = str(published.write_laion_pt(Path(folder), tensors=tensors))
        common = {"weights": weights, "device": options.device, "precision": options.precision}
        windowed, dense = ClapEncoder(**common), ClapDenseEncoder(**common)
        api = None if options.without_package else package_api(ClapEncoder(weights=weights))
        measure(windowed, dense, api, options)


def measure(
    windowed: ClapEncoder,
    dense: ClapDenseEncoder,
    api: Callable[[np.ndarray], np.ndarray] | None,
    options: argparse.Namespace,
) -> None:
    device = windowed.device
    count = options.windows
    long = published.noise(max(10, count), RATE_HZ)
    short = long[: count * RATE_HZ]
    net = windowed.audio_network.net
    assert net is not None
    dtype = windowed.audio_network.dtype
    clips = windowed.audio_network.clips_at_a_time
    spectrogram = torch.randn(min(clips, count), NUM_STEPS, 64, device=device, dtype=dtype)

    def network() -> None:
        with torch.inference_mode():
            for _ in range(0, count, clips):
                net(spectrogram)

    runs: dict[str, Callable[[], object]] = {
        "windowed": lambda: windowed.encode_audio(short[None]),
        "network alone": network,
        "dense": lambda: dense.encode_audio(long[None]),
    }
    audio_s = {
        "windowed": count,
        "network alone": count,
        "dense": len(long) / RATE_HZ,
        "laion-clap API": count,
    }
    if api is not None:
        runs["laion-clap API"] = lambda: [api(window[None]) for window in short.reshape(count, -1)]
        joint = windowed.joint_audio(windowed.encode_audio(short[None])[0])
        difference = np.abs(joint - api(short.reshape(count, -1))).max()
        print(f"largest difference of the unit 512-d embeddings: {difference:.1e}")
    for run in runs.values():
        run()
    took: dict[str, list[float]] = {name: [] for name in runs}
    rates = []
    for _ in range(options.rounds):
        for name, run in runs.items():
            took[name].append(seconds(device, run))
        rates.append(probe(device, dtype))
    for name, times in took.items():
        print(f"{name:16} {audio_s[name] / statistics.median(times):8.2f} s of audio a second")
    rate, operations = statistics.median(rates), count_operations(net)
    print(f"matrix products run at {rate / 1e9:.0f} GFLOP/s; one pass is {operations / 1e9:.2f} GFLOP")
    floor = operations / rate
    for name, passes in (("windowed", count), ("dense", len(long) / RATE_HZ / 10)):
        print(f"{name}: {floor * passes / statistics.median(took[name]):.0%} of the floor's rate")
    pairs = zip(took["windowed"], took["network alone"], strict=True)
    print(f"windowed: {statistics.median(1 - n / w for w, n in pairs):.1%} of the time outside the network")
    if api is not None:
        for name in ("windowed", "dense"):
            share = audio_s[name] / audio_s["laion-clap API"]
            ratios = [a / w * share for w, a in zip(took[name], took["laion-clap API"], strict=True)]
            print(f"{name}: {statistics.median(ratios):.2f} x laion-clap's API ({min(ratios):.2f} at least)")


if __name__ == "__main__":
    main()
