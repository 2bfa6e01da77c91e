from __future__ import annotations

import torch

from lookbook_image import order

LENGTHS = torch.randint(5, 60, (1000,), generator=torch.Generator().manual_seed(0))


def rows(batches: list[torch.Tensor]) -> list[int]:
    return torch.cat(batches).tolist()


def test_every_pair_comes_once() -> None:
    assert sorted(rows(order.batches(LENGTHS, 16, seed=0, epoch=1))) == list(range(1000))


def test_the_order_is_a_function_of_seed_and_epoch_and_not_of_what_was_drawn_before() -> None:
    first = rows(order.batches(LENGTHS, 16, seed=3, epoch=2))
    torch.rand(7)
    assert rows(order.batches(LENGTHS, 16, seed=3, epoch=2)) == first
    assert rows(order.batches(LENGTHS, 16, seed=3, epoch=3)) != first
    assert rows(order.batches(LENGTHS, 16, seed=4, epoch=2)) != first


def test_batches_hold_pairs_of_like_length() -> None:
    def padding(batches: list[torch.Tensor]) -> int:
        return sum(int((LENGTHS[batch].max() - LENGTHS[batch]).sum()) for batch in batches)

    random = list(torch.randperm(1000, generator=torch.Generator().manual_seed(1)).split(16))
    assert padding(order.batches(LENGTHS, 16, seed=0, epoch=1)) < padding(random) / 3


def test_short_and_long_batches_are_mixed() -> None:
    lengths = [int(LENGTHS[batch].max()) for batch in order.batches(LENGTHS, 16, seed=0, epoch=1)]
    assert lengths != sorted(lengths)


def test_pairs_of_about_the_same_length_are_in_random_order() -> None:
    similar = torch.tensor([9, 16] * 100)
    batch = order.batches(similar, 50, seed=0, epoch=1)[0]
    assert len(set(similar[batch].tolist())) == 2
