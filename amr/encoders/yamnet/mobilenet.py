"""YAMNet's network: MobileNet v1 (Howard et al., 2017) on patches of log-mel spectrogram.

Batch norms are folded into the convolutions, so what is left is convolutions with a bias and ReLU. On a
processor oneDNN, where torch has it, gets the weights once in the order that its kernels want. Left to itself
torch reorders 13 MB of them at every call, and calls oneDNN for 16 patches or more only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import pad

from amr.encoders.yamnet.weightfiles import Tensors

PATCH_STEPS = 96
# (stride, channels) of the 13 pairs of a depthwise and a pointwise convolution behind the stem.
PAIRS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)
STEM_CHANNELS = 32
DIMENSION = 1024


class SameConv(nn.Module):
    """A 3 x 3 or 1 x 1 convolution with TensorFlow's SAME padding, then ReLU.

    Every side is even where the stride is two, so that SAME puts its one row and column of zeros behind.
    """

    def __init__(self, inputs: int, outputs: int, *, size: int, stride: int, groups: int) -> None:
        super().__init__()
        self.padding = 1 if size == 3 and stride == 1 else 0
        self.behind = stride == 2
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=self.padding, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.behind:
            x = pad(x, (0, 1, 0, 1))
        out: torch.Tensor = self.conv(x)
        return out.relu_()


class Reordered:
    """A :class:`SameConv` on tensors in oneDNN's layout, with weights in oneDNN's order.

    Its convolutions put zeros on all sides. Where SAME puts them behind alone, the kernel gets a row and a
    column of zeros in front, which pass over those that are too many.
    """

    def __init__(self, same: SameConv) -> None:
        conv = same.conv
        padding = 1 if same.behind else same.padding
        weight = pad(conv.weight, (1, 0, 1, 0)) if same.behind else conv.weight
        self.bias = conv.bias
        self.shape = ((padding, padding), conv.stride, conv.dilation, conv.groups)
        self.weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), *self.shape)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.mkldnn_convolution(x, self.weight, self.bias, *self.shape)
        return out.relu_()


class MobileNet(nn.Module):
    """Patches ``(batch, 96, 64)`` to embeddings ``(batch, 1024)``."""

    def __init__(self) -> None:
        super().__init__()
        layers = [SameConv(1, STEM_CHANNELS, size=3, stride=2, groups=1)]
        inputs = STEM_CHANNELS
        for stride, outputs in PAIRS:
            layers.append(SameConv(inputs, inputs, size=3, stride=stride, groups=inputs))
            layers.append(SameConv(inputs, outputs, size=1, stride=1, groups=1))
            inputs = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(patches.unsqueeze(1))
        return out.mean(dim=(2, 3))


class ReorderedMobileNet:
    """The same on a processor. An embedding is the same to the bit whatever other patches there are."""

    def __init__(self, net: MobileNet) -> None:
        self.layers = [Reordered(layer) for layer in net.layers if isinstance(layer, SameConv)]

    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        out = patches.unsqueeze(1).to_mkldnn()
        for layer in self.layers:
            out = layer(out)
        return out.to_dense().mean(dim=(2, 3))


def has_onednn(device: torch.device) -> bool:
    """Whether the network runs in oneDNN's order there."""
    return device.type == "cpu" and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def build_mobilenet(tensors: Tensors, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network on a device, as it is fastest there."""
    net = load_mobilenet(tensors).to(device)
    return ReorderedMobileNet(net) if has_onednn(device) else net


def load_mobilenet(tensors: Tensors) -> MobileNet:
    """The network with the weights ``convNN.weight`` and ``convNN.bias``, in float32, ready to be used."""
    with torch.device("meta"):
        net = MobileNet()
    state = {
        f"layers.{number}.conv.{kind}": torch.from_numpy(tensors[f"conv{number:02d}.{kind}"]).float()
        for number in range(len(net.layers))
        for kind in ("weight", "bias")
    }
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False)
