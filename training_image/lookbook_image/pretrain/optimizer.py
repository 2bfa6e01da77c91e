"""Muon for matrices, AdamW for the rest: far ahead of AdamW alone on a model this small."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import OneCycleLR

MUON_RATE = 1e-2
ADAMW_RATE = 3e-3


class Optimizer:
    """Both optimizers over the weights of ``modules``, on one one-cycle schedule of ``steps`` steps."""

    def __init__(self, modules: Iterable[nn.Module | nn.Parameter], steps: int) -> None:
        self._weights = _weights(modules)
        matrices = [weight for name, weight in self._weights if _is_matrix(name, weight)]
        rest = [weight for name, weight in self._weights if not _is_matrix(name, weight)]
        self._optimizers = [
            torch.optim.Muon(matrices, lr=MUON_RATE, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, lr=ADAMW_RATE, weight_decay=0.0),
        ]
        self._schedules = [
            OneCycleLR(one, max_lr=rate, total_steps=steps, pct_start=0.1)
            for one, rate in zip(self._optimizers, (MUON_RATE, ADAMW_RATE), strict=True)
        ]

    def step(self, loss: Tensor) -> None:
        """Make one step down the gradient of ``loss``."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_([weight for _, weight in self._weights], 1.0)
        for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
            optimizer.step()
            schedule.step()


def _weights(modules: Iterable[nn.Module | nn.Parameter]) -> list[tuple[str, nn.Parameter]]:
    named: list[tuple[str, nn.Parameter]] = []
    for module in modules:
        named += [("parameter", module)] if isinstance(module, nn.Parameter) else list(module.named_parameters())
    return named


def _is_matrix(name: str, weight: nn.Parameter) -> bool:
    """Tell whether Muon is for this weight: a matrix between hidden states, not a table or the output layer."""
    return weight.ndim == 2 and not any(part in name for part in ("embed", "lm_head", "shared", "bias", "head"))
