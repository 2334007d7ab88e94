"""The reference's side of ``train_speed.py``: Lighthouse's own training loop, from a checkout elsewhere.

Its dataset class, collation, model, criterion, optimiser and ``train_epoch`` run as they are; packages that
its imports name and that a step never calls are replaced by stand-ins where they are not installed.
"""

from __future__ import annotations

import importlib
import random
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

MOST_STAND_INS = 40
# configs/base.yml, dataset/clotho-moment.yml, feature/clap.yml and model/qd_detr.yml of the reference.
OPTIONS: dict[str, Any] = {
    "seed": 2023,
    "lr": 1e-4,
    "lr_drop": 400,
    "wd": 1e-4,
    "grad_clip": 0.1,
    "max_q_l": 32,
    "max_v_l": 75,
    "max_a_l": 75,
    "max_windows": 5,
    "clip_length": 1,
    "position_embedding": "sine",
    "enc_layers": 2,
    "dec_layers": 2,
    "dim_feedforward": 1024,
    "hidden_dim": 256,
    "input_dropout": 0.5,
    "dropout": 0.1,
    "nheads": 8,
    "num_queries": 10,
    "n_input_proj": 2,
    "saliency_margin": 0.2,
    "span_loss_type": "l1",
    "set_cost_span": 10,
    "set_cost_giou": 1,
    "set_cost_class": 4,
    "span_loss_coef": 10,
    "giou_loss_coef": 1,
    "label_loss_coef": 4,
    "eos_coef": 0.1,
    "lw_saliency": 1,
    "aux_loss": True,
    "model_name": "qd_detr",
    "dset_name": "clotho-moment",
    "ctx_mode": "audio_tef",
    "v_feat_types": None,
    "a_feat_types": "clap",
    "t_feat_type": "clap",
    "v_feat_dim": 2,
    "a_feat_dim": 768,
    "t_feat_dim": 768,
}


class Attributes(dict[str, Any]):
    """A dictionary whose keys are attributes too: what the reference's options are."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def import_with_stand_ins(name: str) -> types.ModuleType:
    """Import a module with stand-ins for packages that are not installed; nobody else gets to see them."""
    stand_ins: list[str] = []
    try:
        for _ in range(MOST_STAND_INS):
            try:
                return importlib.import_module(name)
            except ModuleNotFoundError as error:
                stand_ins.append(str(error.name))
                sys.modules[stand_ins[-1]] = stand_in(stand_ins[-1])
        raise ImportError(f"{name} needs too much that is not here")
    finally:
        for each in stand_ins:
            del sys.modules[each]


def stand_in(name: str) -> Any:
    """Something that can be imported from and called."""
    module = mock.MagicMock(name=name)
    module.__path__ = []
    module.__spec__ = None
    if name == "easydict":
        module.EasyDict = Attributes
    return module


class ReferenceLoop:
    """A model and its loader; :meth:`round` trains one pass over the loader's items.

    Args:
        checkout: of Lighthouse.
        tree: folder with ``data.jsonl``, ``clap`` and ``clap_text``.
        batch: items a step.
        workers: of its loader.
        device: that the model trains on.
    """

    def __init__(self, checkout: Path, tree: Path, batch: int, workers: int, device: str) -> None:
        sys.path[:0] = [str(checkout), str(checkout / "training")]
        self.module = import_with_stand_ins("train")
        self.module.write_log = lambda *_, **__: None
        self.module.tqdm = lambda items, **_: items
        self.options = Attributes(OPTIONS | {"device": device})
        random.seed(2023)
        np.random.seed(2023)
        torch.manual_seed(2023)
        dataset = self.module.StartEndDataset(
            dset_name="clotho-moment",
            domain=None,
            data_path=str(tree / "data.jsonl"),
            v_feat_dirs=[],
            a_feat_dirs=[str(tree / "clap")],
            q_feat_dir=str(tree / "clap_text"),
            v_feat_types=None,
            a_feat_types="clap",
            max_q_l=32,
            max_v_l=75,
            max_a_l=75,
            ctx_mode="audio_tef",
            clip_len=1,
            max_windows=5,
        )
        self.loader = torch.utils.data.DataLoader(
            dataset,
            collate_fn=self.module.start_end_collate,
            batch_size=batch,
            num_workers=workers,
            shuffle=True,
        )
        self.model, self.criterion, self.optimizer, _ = self.module.setup_model(self.options)

    def round(self) -> None:
        """One pass of its ``train_epoch``."""
        self.module.train_epoch(self.model, self.criterion, self.loader, self.optimizer, self.options, 0)
