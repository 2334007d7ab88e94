"""Latency of the network, alone and beside the original implementation.

    python tests/benchmarks/network_speed.py [--preset am-detr] [--frames 60] [--batches 1,100] [--queries 1]
        [--threads 2] [--reference CHECKOUT]

``--queries`` are asked of each stretch, which ``best`` then hears once.
``--reference`` is a checkout of Lighthouse outside this repository: its QD-DETR then runs in the same
process, with the same weights and inputs, in turn with ours (A, B, A, B), and the median of the paired ratios
is printed. Every round is bracketed by a matrix product, which gives the machine's rate and thereby the
floor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from amr.models.build import Network, build_network
from amr.models.inputs import NetworkInputs
from amr.models.presets import PRESETS

PROBE_SIZE = 768


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    for batch in (int(part) for part in options.batches.split(",")):
        print(json.dumps(compare(batch, options)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="am-detr")
    parser.add_argument("--queries", type=int, default=1, help="of each stretch")
    parser.add_argument("--reference", help="a checkout of Lighthouse, outside of this repository")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=25)
    parser.add_argument("--batches", default="1,100")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def compare(batch: int, options: argparse.Namespace) -> dict[str, float | int]:
    """Medians in milliseconds a query, and the median of the paired ratios."""
    torch.manual_seed(0)
    config = PRESETS[options.preset].network
    network = build_network(config).eval()
    audio = torch.randn(batch, options.frames, config.audio_dim)
    text = torch.randn(batch, options.tokens, config.text_dim)
    inputs = NetworkInputs(audio=audio, text=text)
    if config.similarity_channels:
        inputs = replace(inputs, curves=torch.randn(batch, options.frames, config.similarity_channels))
    if options.queries > 1:
        stretch = torch.arange(batch) // options.queries
        inputs = replace(inputs, audio=audio[: int(stretch[-1]) + 1], stretch=stretch)
    ours = our_step(network, inputs)
    theirs = reference_step(options.reference, audio, text) if options.reference else None
    operations = floating_operations(lambda: network(inputs))
    floor_ms = operations / batch / matrix_rate() * 1e3
    repeats = max(1, 20 // batch)
    rows = []
    for _ in range(options.rounds):
        mine = timed(ours, repeats)
        rows.append((mine, timed(theirs, repeats) if theirs else 0.0))
    result: dict[str, float | int] = {
        "preset": options.preset,
        "batch": batch,
        "queries": options.queries,
        "frames": options.frames,
        "threads": options.threads,
        "ours_ms_a_query": round(statistics.median(r[0] for r in rows) / batch * 1e3, 3),
        "floor_ms_a_query": round(floor_ms, 3),
    }
    if theirs:
        result["reference_ms_a_query"] = round(statistics.median(r[1] for r in rows) / batch * 1e3, 3)
        result["ours_over_reference"] = round(statistics.median(r[0] / r[1] for r in rows), 3)
    return result


def our_step(network: Network, inputs: NetworkInputs) -> Callable[[], object]:
    first = network.first_queries()

    def step() -> object:
        with torch.inference_mode():
            return network(inputs, first=first)

    return step


def reference_step(checkout: str, audio: torch.Tensor, text: torch.Tensor) -> Callable[[], object]:
    """Their network under their defaults; it runs its negative pass, as it does when predicting."""
    sys.path.insert(0, checkout)
    from lighthouse.common.qd_detr import build_model  # type: ignore[import-not-found]

    torch.manual_seed(0)
    model, _ = build_model(ReferenceOptions())
    model.eval()
    batch, frames = audio.shape[:2]
    start = (torch.arange(frames) / frames).expand(batch, -1)
    tef = torch.stack((start, start + 1 / frames), dim=-1)
    audio_mask, text_mask = torch.ones(batch, frames), torch.ones(text.shape[:2])

    def step() -> object:
        with torch.inference_mode():
            return model(text, text_mask, tef, audio_mask, audio, audio_mask)

    return step


class ReferenceOptions:
    """The options that their ``build_model`` reads, at the values of their published configuration."""

    device = "cpu"
    hidden_dim, nheads, dim_feedforward, dropout, input_dropout = 256, 8, 1024, 0.1, 0.5
    enc_layers = dec_layers = n_input_proj = 2
    position_embedding, span_loss_type, aux_loss = "sine", "l1", True
    num_queries, max_q_l, max_v_l = 10, 32, 300
    t_feat_dim, v_feat_dim, a_feat_dim = 768, 2, 768
    set_cost_span, set_cost_giou, set_cost_class = 10, 1, 4
    span_loss_coef, giou_loss_coef, label_loss_coef, lw_saliency = 10, 1, 4, 1
    eos_coef, saliency_margin = 0.1, 0.2

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)


def timed(step: Callable[[], object], repeats: int) -> float:
    """Processor seconds of one step."""
    step()
    start = time.process_time()
    for _ in range(repeats):
        step()
    return (time.process_time() - start) / repeats


def floating_operations(step: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def matrix_rate() -> float:
    """Floating-point operations a processor second in a large float32 product."""
    a = torch.randn(PROBE_SIZE, PROBE_SIZE)
    seconds = min(timed(lambda: a @ a, 5) for _ in range(5))
    return 2 * PROBE_SIZE**3 / seconds


if __name__ == "__main__":
    main()
