"""UVCOM for amr: ``pip install examples/uvcom``, then ``amr train --preset uvcom``."""

from __future__ import annotations

from amr.models.architectures import Architecture
from amr.models.loss_config import LossConfig
from amr.models.presets import Preset
from amr.models.train_settings import TrainSettings
from amr_uvcom.lighthouse import read_lighthouse
from amr_uvcom.network import UvcomNetwork
from amr_uvcom.switches import NETWORK, USES

# Lighthouse's uvcom.yml over its base.yml; what it leaves open is QD-DETR's.
PRESET = Preset(
    network=NETWORK,
    loss=LossConfig(),
    training=TrainSettings(schedule="step", step_epochs=100, step_factor=0.1),
)
UVCOM = Architecture(preset=PRESET, network=UvcomNetwork, uses=USES, read_lighthouse=read_lighthouse)
