"""The order in which an epoch sees the pairs: random, a function of seed and epoch, pairs of like length together."""

from __future__ import annotations

import torch
from torch import Tensor

MIXED_BATCHES = 50
"""Pairs are sorted by length within so many batches, so that which pairs meet stays random."""
LENGTH_STEP = 8
"""Lengths within so many tokens count as equal: questions about different attributes still meet in a batch."""


def batches(lengths: Tensor, size: int, *, seed: int, epoch: int) -> list[Tensor]:
    """Return all rows once, in batches of ``size``; the last of them, wherever it comes, may be smaller.

    Args:
        lengths: tokens of each of n pairs, shape (n,).
        size: rows in a batch.
        seed: the job's.
        epoch: from 1 on; each has an order of its own.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    shuffled = torch.randperm(len(lengths), generator=generator)
    bucket = (lengths + LENGTH_STEP - 1) // LENGTH_STEP
    sorted_by_bucket = [rows[bucket[rows].argsort(stable=True)] for rows in shuffled.split(size * MIXED_BATCHES)]
    cut = [batch for rows in sorted_by_bucket for batch in rows.split(size)]
    return [cut[position] for position in torch.randperm(len(cut), generator=generator)]
